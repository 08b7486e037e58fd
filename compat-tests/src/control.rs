//! The player's own connection: a super user that looks at the tree while a script leaves it alone.

use std::net::SocketAddr;

use bytes::Bytes;
use rookeeper_protocol::client::xid;
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{ErrorCode, OpCode};

use crate::body::Body;
use crate::raw_client::{RawClient, Received};
use crate::request::{Request, auth, bare, children2, exists, get, get_acl, make};
use crate::script::PATIENCE;
use crate::server::SUPER_AUTH;
use crate::view::{hex, password};

/// Longer than any script takes.
const TIMEOUT_MS: i32 = 600_000;

/// A well-behaved client that waits for each reply.
#[derive(Debug)]
pub struct ControlClient {
    client: RawClient,
    session: i64,
}

impl ControlClient {
    /// Opens a session, as the super user.
    pub fn connect(address: SocketAddr) -> Result<Self, String> {
        let (client, session) = handshake(address, 0)?;
        let mut control = Self { client, session };
        control.authenticate()?;
        Ok(control)
    }

    /// The session's id.
    pub fn session(&self) -> i64 {
        self.session
    }

    /// Resumes the session after the server was restarted.
    pub fn reconnect(&mut self, address: SocketAddr) -> Result<(), String> {
        let (client, session) = handshake(address, self.session)?;
        if session != self.session {
            return Err("the control session did not outlive the restart".to_owned());
        }
        self.client = client;
        self.authenticate()
    }

    fn authenticate(&mut self) -> Result<(), String> {
        let (error, _) = self.call(&auth("digest", Some(SUPER_AUTH)))?;
        if error == 0 { Ok(()) } else { Err(format!("the super user is refused with {error}")) }
    }

    /// Sends a request; returns the reply's error and its frame.
    pub fn call(&mut self, request: &Request) -> Result<(i32, Bytes), String> {
        // Always the same number: how many calls there were before is not a server's business.
        let number = if request.op == OpCode::Auth.number() { xid::AUTH } else { 1 };
        let contents = Body::new().int(number).int(request.op).body(request.body.clone());
        self.client.send_frame(&contents.bytes(0)).map_err(|error| format!("{}: {error}", request.label))?;
        match self.client.receive(PATIENCE) {
            Received::Frame(frame) => {
                let header = frame.get(12..16).and_then(|error| error.try_into().ok()).map(i32::from_be_bytes);
                let error = header.ok_or_else(|| format!("{}: short reply {}", request.label, hex(&frame)))?;
                if frame.first_chunk() != Some(&number.to_be_bytes()) {
                    return Err(format!("{}: reply to another request: {}", request.label, hex(&frame)));
                }
                Ok((error, frame))
            }
            other => Err(format!("{}: no reply, but {other:?}", request.label)),
        }
    }

    /// The newest zxid.
    pub fn zxid(&mut self) -> Result<i64, String> {
        let (_, frame) = self.call(&exists("/", false))?;
        Ok(frame.get(4..12).and_then(|zxid| zxid.try_into().ok()).map_or(0, i64::from_be_bytes))
    }

    /// Makes sure that an open znode is there.
    pub fn create(&mut self, path: &str) -> Result<(), String> {
        match self.call(&make(path, ""))? {
            (error, _) if error == 0 || error == ErrorCode::NodeExists.number() => Ok(()),
            (error, _) => Err(format!("{path} cannot be created: {error}")),
        }
    }

    /// Whether a znode is there.
    pub fn exists(&mut self, path: &str) -> Result<bool, String> {
        Ok(self.call(&exists(path, false))?.0 == 0)
    }

    /// Shows data, access control list and children of a znode and of all below it, in order of names.
    pub fn walk(&mut self, path: &str, each: &mut impl FnMut(&str, i32, Bytes)) -> Result<(), String> {
        for request in [get(path, false), get_acl(path)] {
            let (_, frame) = self.call(&request)?;
            each(path, request.op, frame);
        }
        let (error, frame) = self.call(&children2(path, false))?;
        each(path, OpCode::GetChildren2.number(), frame.clone());
        let mut reader = Reader::new(frame.get(16..).unwrap_or_default());
        let names = if error == 0 { reader.text_vector().map_err(|error| error.to_string())? } else { None };
        let mut names: Vec<_> = names.into_iter().flatten().flatten().map(String::from).collect();
        names.sort();
        for name in names {
            self.walk(&if path == "/" { format!("/{name}") } else { format!("{path}/{name}") }, each)?;
        }
        Ok(())
    }

    /// Closes another session, if it is still there.
    pub fn close_session(&mut self, address: SocketAddr, session: i64, was_open: bool) -> Result<(), String> {
        let (mut client, resumed) = handshake(address, session)?;
        if resumed == session {
            close(&mut client)
        } else if was_open {
            Err(format!("session 0x{session:x} had a connection at the end, and yet it is over"))
        } else {
            Ok(())
        }
    }

    /// Closes the control session itself.
    pub fn close(mut self) -> Result<(), String> {
        close(&mut self.client)
    }
}

fn close(client: &mut RawClient) -> Result<(), String> {
    let contents = Body::new().int(1).int(bare(OpCode::CloseSession).op);
    client.send_frame(&contents.bytes(0)).map_err(|error| error.to_string())?;
    match client.receive_all(PATIENCE) {
        (_, Received::Nothing) => Err("a session is not closed".to_owned()),
        _ => Ok(()),
    }
}

fn handshake(address: SocketAddr, session: i64) -> Result<(RawClient, i64), String> {
    let mut client = RawClient::connect(address).map_err(|error| error.to_string())?;
    let body = Body::new().int(0).long(0).int(TIMEOUT_MS).long(session);
    let body = body.buffer(Some(&if session == 0 { [0; 16] } else { password(session) })).boolean(false);
    client.send_frame(&body.bytes(0)).map_err(|error| error.to_string())?;
    match client.receive(PATIENCE) {
        Received::Frame(frame) if frame.len() >= 16 => {
            let id = frame[8..16].try_into().map_or(0, i64::from_be_bytes);
            if session == 0 && id == 0 { Err("no session is given out".to_owned()) } else { Ok((client, id)) }
        }
        other => Err(format!("a connect request is answered with {other:?}")),
    }
}
