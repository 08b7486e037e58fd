//! A server that holds a few znodes in a map, and misbehaves when it is told to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::{Buf, BytesMut};
use rookeeper_protocol::client::{
    ConnectRequest, ConnectResponse, CreateRequest, DeleteRequest, EventType, FrameDecoder, PathWatchRequest,
    ReplyHeader, RequestHeader, SetDataRequest, WatchEvent, finish_frame, start_frame, xid,
};
use rookeeper_protocol::jute::{Reader, Writer};
use rookeeper_protocol::types::{ErrorCode, OpCode, SessionId, Stat, Zxid};

/// What the server does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The n-th getData brings other data.
    WrongData(usize),
    /// The n-th getData brings an error.
    Error(usize),
    /// The n-th getData is answered with a number that nobody asked with.
    WrongXid(usize),
    /// The n-th getData ends the connection.
    Disconnect(usize),
    /// Only so many sessions are given.
    SessionsMax(usize),
    /// The n-th event is sent twice.
    EventTwice(usize),
}

struct Shared {
    fault: Fault,
    znodes: Mutex<HashMap<String, Vec<u8>>>,
    watches: Mutex<Vec<(String, TcpStream)>>,
    gets: AtomicUsize,
    sessions: AtomicUsize,
    events: AtomicUsize,
    zxid: AtomicI64,
}

/// Starts the server; it lives as long as the test's process.
pub(crate) fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::new(Shared {
        fault,
        znodes: Mutex::default(),
        watches: Mutex::default(),
        gets: AtomicUsize::new(0),
        sessions: AtomicUsize::new(0),
        events: AtomicUsize::new(0),
        zxid: AtomicI64::new(0),
    });
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, shared) = (stream.unwrap(), Arc::clone(&shared));
            // The client may go away at any time; that ends its thread, and nothing else.
            thread::spawn(move || serve(stream, &shared));
        }
    });
    address
}

/// Answers one connection until it ends.
fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let decoder = FrameDecoder::new(4 << 20);
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let (mut chunk, mut has_session) = (vec![0; 64 << 10], false);
    loop {
        while let Some(frame) = decoder.next_frame(&mut input).unwrap() {
            if !has_session {
                ConnectRequest::read(&mut Reader::new(&frame)).unwrap();
                let number = shared.sessions.fetch_add(1, Ordering::SeqCst) + 1;
                if matches!(shared.fault, Fault::SessionsMax(max) if number > max) {
                    return Ok(());
                }
                let (session_id, password) = (SessionId(number as i64), [0; 16]);
                ConnectResponse {
                    protocol_version: 0,
                    timeout_ms: 30_000,
                    session_id,
                    password,
                    read_only: Some(false),
                }
                .write_frame(&mut output);
                has_session = true;
            } else if !answer(&frame, &stream, &mut output, shared) {
                stream.write_all(&output)?;
                return Ok(());
            }
        }
        stream.write_all(&output)?;
        output.clear();
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        input.extend_from_slice(&chunk[..count]);
    }
}

/// Answers one request; false when the connection is to end.
fn answer(frame: &[u8], stream: &TcpStream, output: &mut BytesMut, shared: &Shared) -> bool {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::read(&mut reader).unwrap();
    let mut znodes = shared.znodes.lock().unwrap();
    let mut body = BytesMut::new();
    let stat = |size: usize| Stat { data_length: size as i32, ..Stat::default() };
    let mut asked = header.xid;
    let error = match OpCode::from_number(header.op).unwrap() {
        OpCode::Create => {
            let request = CreateRequest::read(&mut reader).unwrap();
            let (path, data) = (request.path.unwrap().into_owned(), request.data.unwrap().to_vec());
            body.text(&path);
            match znodes.entry(path) {
                Entry::Occupied(_) => ErrorCode::NodeExists,
                Entry::Vacant(place) => {
                    place.insert(data);
                    ErrorCode::Ok
                }
            }
        }
        OpCode::Delete => {
            let request = DeleteRequest::read(&mut reader).unwrap();
            znodes.remove(&*request.path.unwrap()).map_or(ErrorCode::NoNode, |_| ErrorCode::Ok)
        }
        OpCode::SetData => {
            let request = SetDataRequest::read(&mut reader).unwrap();
            let path = request.path.unwrap().into_owned();
            stat(request.data.unwrap().len()).write(&mut body);
            fire(&path, shared);
            znodes.insert(path, request.data.unwrap().to_vec()).map_or(ErrorCode::NoNode, |_| ErrorCode::Ok)
        }
        OpCode::Exists | OpCode::GetData => {
            let request = PathWatchRequest::read(&mut reader).unwrap();
            let path = request.path.unwrap().into_owned();
            if request.watch {
                shared.watches.lock().unwrap().push((path.clone(), stream.try_clone().unwrap()));
            }
            let number = shared.gets.fetch_add(1, Ordering::SeqCst) + 1;
            let mut data = znodes.get(&path).cloned();
            match shared.fault {
                Fault::WrongData(n) if n == number => data.as_mut().unwrap()[0] ^= 1,
                Fault::Error(n) if n == number => data = None,
                Fault::WrongXid(n) if n == number => asked += 1,
                Fault::Disconnect(n) if n == number => return false,
                _ => {}
            }
            if let Some(data) = &data {
                if header.op == OpCode::GetData.number() {
                    body.buffer(Some(data));
                }
                stat(data.len()).write(&mut body);
            }
            data.map_or(ErrorCode::NoNode, |_| ErrorCode::Ok)
        }
        OpCode::Sync => {
            body.text("/");
            ErrorCode::Ok
        }
        OpCode::Ping => {
            asked = xid::PING;
            ErrorCode::Ok
        }
        OpCode::CloseSession => ErrorCode::Ok,
        other => panic!("{other:?} is not asked by these tests"),
    };
    let start = start_frame(output);
    let zxid = Zxid(shared.zxid.fetch_add(1, Ordering::SeqCst));
    ReplyHeader { xid: asked, zxid, error: error.number() }.write(output);
    if error == ErrorCode::Ok {
        output.extend_from_slice(body.chunk());
    }
    finish_frame(output, start);
    header.op != OpCode::CloseSession.number()
}

/// Sends the events of a znode's watches.
fn fire(path: &str, shared: &Shared) {
    let mut watches = shared.watches.lock().unwrap();
    for (_, stream) in watches.extract_if(.., |(watched, _)| watched == path) {
        let mut event = BytesMut::new();
        WatchEvent::write_frame(&mut event, EventType::NodeDataChanged, path, Zxid(-1));
        let number = shared.events.fetch_add(1, Ordering::SeqCst) + 1;
        let twice = matches!(shared.fault, Fault::EventTwice(n) if n == number);
        for _ in 0..1 + usize::from(twice) {
            (&stream).write_all(&event).unwrap();
        }
    }
}
