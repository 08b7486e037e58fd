//! Plays a script on one server and writes down what comes back.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rookeeper_protocol::client::xid;
use rookeeper_protocol::types::OpCode;

use crate::body::Body;
use crate::control::ControlClient;
use crate::four_letter;
use crate::raw_client::{RawClient, Received};
use crate::request::bare;
use crate::script::{Control, Hello, PATIENCE, Password, Script, Session, Step};
use crate::server::Server;
use crate::view::{View, hex, password};

/// One thing that came back.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As text without what may differ; this is compared.
    pub text: String,
    /// As it came; this is only shown.
    pub bytes: Bytes,
}

/// All that came back, by step. The last element, beyond the steps, is what was still on its way and the tree.
pub type Transcript = Vec<Vec<Entry>>;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug)]
enum Pending {
    Hello,
    Request { number: i32, op: i32 },
}

#[derive(Debug)]
struct Conn {
    client: RawClient,
    pending: VecDeque<Pending>,
    session: Option<i64>,
}

/// One play.
pub struct Player<'s> {
    server: &'s mut Server,
    control: ControlClient,
    view: View,
    conns: BTreeMap<String, Conn>,
    last_session: BTreeMap<String, i64>,
    entries: Vec<Entry>,
}

/// Plays a script. The transcript covers the script's own subtree and the zxids that were used, too.
///
/// Fails only when the server cannot be talked to at all, with the end of its log.
pub fn play(server: &mut Server, script: &Script) -> Result<Transcript, String> {
    let played = (|| {
        let mut player = Player::begin(server, &script.path(""))?;
        let mut transcript = Vec::with_capacity(script.steps.len() + 1);
        for (index, step) in script.steps.iter().enumerate() {
            player.step(step).map_err(|error| format!("at step {index} ({step}): {error}"))?;
            transcript.push(std::mem::take(&mut player.entries));
        }
        transcript.push(player.end(&script.path(""))?);
        Ok(transcript)
    })();
    played.map_err(|error: String| {
        format!(
            "{:?} cannot play `{}`: {error}\nthe end of its log:\n{}",
            server.kind(),
            script.name,
            server.log_tail()
        )
    })
}

impl<'s> Player<'s> {
    fn begin(server: &'s mut Server, root: &str) -> Result<Self, String> {
        let mut control = ControlClient::connect(server.address())?;
        control.create(root)?;
        let mut view = View::new(control.zxid()?);
        view.set_control(control.session());
        let (conns, last_session) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { server, control, view, conns, last_session, entries: Vec::new() })
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn note(&mut self, text: String, bytes: Bytes) {
        self.entries.push(Entry { text, bytes });
    }

    fn say(&mut self, text: String) {
        self.note(text, Bytes::new());
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Open(conn) => {
                let client = RawClient::connect(self.address()).map_err(|error| error.to_string())?;
                self.conns.insert(conn.clone(), Conn { client, pending: VecDeque::new(), session: None });
            }
            Step::Hello(conn, hello) => {
                let bytes = self.hello(hello);
                self.send(conn, &crate::raw_client::frame(&bytes), Some(Pending::Hello));
            }
            Step::Send(conn, number, request) => {
                let contents = Body::new().int(*number).int(request.op).body(request.body.clone());
                let bytes = crate::raw_client::frame(&contents.bytes(self.view.base()));
                // A ping is answered with its own number, whichever was sent (`FinalRequestProcessor`).
                let number = if request.op == OpCode::Ping.number() { xid::PING } else { *number };
                self.send(conn, &bytes, Some(Pending::Request { number, op: request.op }));
            }
            Step::SendRaw(conn, bytes) => self.send(conn, bytes, None),
            Step::Read(conn, frames) => {
                for _ in 0..*frames {
                    if !self.receive(conn) {
                        break;
                    }
                }
            }
            Step::Replies(conn) => {
                while self.conns.get(conn).is_some_and(|conn| !conn.pending.is_empty()) && self.receive(conn) {}
            }
            Step::Settle(conn) => self.settle(conn),
            Step::SettleAfterSession(conn) => {
                self.settle(conn);
                sort_events(&mut self.entries);
            }
            Step::Closed(conn) => {
                let end = Instant::now() + PATIENCE;
                while self.receive(conn) && Instant::now() < end {}
            }
            Step::FinishSending(conn) => {
                if let Some(conn) = self.conns.get_mut(conn) {
                    // An error says that the server has closed first, which reading shows.
                    let _ = conn.client.finish_sending();
                }
            }
            Step::Drop(conn) => {
                self.conns.remove(conn);
            }
            Step::Ask(word) => self.ask(word)?,
            Step::WaitUntil { path, exists } => self.wait_until(path, *exists)?,
            Step::Server(control) => self.control_server(*control)?,
        }
        Ok(())
    }

    fn hello(&self, hello: &Hello) -> Vec<u8> {
        let id = match &hello.session {
            Session::New => 0,
            Session::Unknown(id) => *id,
            // A script that was cut down to its essence may resume what it never had.
            Session::Of(conn) => self.last_session.get(conn).copied().unwrap_or(1),
        };
        let right = if id == 0 { [0; 16] } else { password(id) };
        let sent = match &hello.password {
            Password::Right => Some(&right[..]),
            Password::Bytes(bytes) => bytes.as_deref(),
        };
        let seen = hello.last_zxid_seen.map_or(0, |relative| self.view.base() + relative);
        let body = Body::new().int(hello.protocol_version).long(seen).int(hello.timeout_ms).long(id).buffer(sent);
        let mut bytes = body.raw(hello.read_only.as_slice()).raw(&hello.trailing).bytes(0);
        bytes.truncate(hello.cut.unwrap_or(bytes.len()));
        bytes
    }

    fn send(&mut self, name: &str, bytes: &[u8], pending: Option<Pending>) {
        let Some(conn) = self.conns.get_mut(name) else { return self.say(format!("{name} is not connected")) };
        // An error says that the server has closed the connection; the step that reads will tell.
        let _ = conn.client.send(bytes);
        conn.pending.extend(pending);
    }

    /// Reads one frame, or the end. True for a frame.
    fn receive(&mut self, name: &str) -> bool {
        let Some(conn) = self.conns.get_mut(name) else {
            self.say(format!("{name} is not connected"));
            return false;
        };
        match conn.client.receive(PATIENCE) {
            Received::Frame(bytes) => {
                self.on_frame(name, bytes);
                true
            }
            // Which of the two it is depends on what is still unread at the server's side.
            Received::Closed(rest) => {
                let begun = if rest.is_empty() { String::new() } else { format!(" after {}", hex(&rest)) };
                self.gone(name, &format!("closed{begun}"));
                false
            }
            Received::Reset => {
                self.gone(name, "closed");
                false
            }
            Received::Nothing => {
                self.say(format!("{name}: nothing within {PATIENCE:?}"));
                false
            }
        }
    }

    fn gone(&mut self, name: &str, how: &str) {
        let unanswered = self.conns.remove(name).map_or(0, |conn| conn.pending.len());
        self.say(format!("{name}: {how}, {unanswered} unanswered"));
    }

    fn on_frame(&mut self, name: &str, bytes: Bytes) {
        let Some(conn) = self.conns.get_mut(name) else { return };
        let number = bytes.first_chunk().map(|xid| i32::from_be_bytes(*xid));
        let answers = |pending: &Pending| match pending {
            Pending::Hello => true,
            Pending::Request { number: asked, op } => {
                Some(*asked) == number || *op == OpCode::CreateSession.number() && number == Some(0)
            }
        };
        let asked = match conn.pending.front() {
            Some(Pending::Hello) => conn.pending.pop_front(),
            _ => conn.pending.iter().position(answers).and_then(|position| conn.pending.remove(position)),
        };
        let text = match asked {
            Some(Pending::Hello) => {
                let text = self.view.connect_response(&bytes);
                let id = bytes.get(8..16).and_then(|id| id.try_into().ok()).map(i64::from_be_bytes);
                if let Some(id) = id.filter(|id| *id != 0) {
                    conn.session = Some(id);
                    self.last_session.insert(name.to_owned(), id);
                }
                text
            }
            Some(Pending::Request { number, op }) if op == OpCode::CreateSession.number() && number != 0 => {
                self.view.connect_response(&bytes)
            }
            Some(Pending::Request { op, .. }) => {
                if op == OpCode::CloseSession.number() {
                    sort_events(&mut self.entries);
                }
                self.view.reply(op, &bytes)
            }
            None if number == Some(xid::NOTIFICATION) => self.view.event(&bytes),
            // Sent by the script as bytes, if at all: what it was is not known here.
            None => self.view.reply(OpCode::Notification.number(), &bytes),
        };
        self.note(format!("{name}: {text}"), bytes);
    }

    /// Pings, and reads up to the answer. What is unanswered by then never will be, since replies come in order.
    fn settle(&mut self, name: &str) {
        let contents = Body::new().int(xid::PING).body(Body::new().int(OpCode::Ping.number()));
        let ping = Pending::Request { number: xid::PING, op: OpCode::Ping.number() };
        self.send(name, &crate::raw_client::frame(&contents.bytes(0)), Some(ping));
        let is_ping =
            |pending: &Pending| matches!(pending, Pending::Request { number: xid::PING, .. } | Pending::Hello);
        while self.conns.get(name).is_some_and(|conn| conn.pending.iter().any(is_ping)) {
            if !self.receive(name) {
                return;
            }
        }
        let Some(conn) = self.conns.get_mut(name) else { return };
        for pending in std::mem::take(&mut conn.pending) {
            self.say(format!("{name}: no answer to {pending:?}"));
        }
    }

    /// Sends a four-letter word over a connection of its own.
    fn ask(&mut self, word: &[u8]) -> Result<(), String> {
        let mut client = RawClient::connect(self.address()).map_err(|error| error.to_string())?;
        // An error says that the server has closed already, which reading shows.
        let _ = client.send(word);
        let (reply, end) = client.receive_all(PATIENCE);
        let name = String::from_utf8_lossy(word.get(..4).unwrap_or(word)).into_owned();
        for line in four_letter::normalise(&name, &String::from_utf8_lossy(&reply), &self.view) {
            self.note(format!("{name}: {line}"), reply.clone());
        }
        if end == Received::Nothing {
            self.say(format!("{name}: the connection stays open"));
        }
        Ok(())
    }

    fn wait_until(&mut self, path: &str, exists: bool) -> Result<(), String> {
        let end = Instant::now() + 3 * PATIENCE;
        while self.control.exists(path)? != exists {
            if Instant::now() > end {
                self.say(format!("{path}: existence is still {}", !exists));
                break;
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn control_server(&mut self, control: Control) -> Result<(), String> {
        match control {
            Control::KillAndRestart => self.server.kill(),
            Control::StopAndRestart => {
                self.server.terminate()?;
            }
        }
        self.conns.clear();
        self.server.start_again()?;
        self.control.reconnect(self.server.address())
    }

    /// What is still on its way, the tree and the zxid; then all sessions are closed, so that none ends within the
    /// next script on this server.
    fn end(mut self, root: &str) -> Result<Vec<Entry>, String> {
        for name in self.conns.keys().cloned().collect::<Vec<_>>() {
            if self.conns[&name].session.is_some() {
                self.settle(&name);
            }
        }
        let zxid = self.control.zxid()?;
        self.say(format!("at the end the zxid is {}", self.view.zxid(zxid)));
        self.control.walk(root, &mut |path, op, bytes| {
            let text = self.view.reply(op, &bytes);
            self.entries.push(Entry { text: format!("{path}: {text}"), bytes });
        })?;
        let open: Vec<_> = self.conns.values().filter_map(|conn| conn.session).collect();
        self.conns.clear();
        for session in self.view.sessions().to_vec() {
            self.control.close_session(self.server.address(), session, open.contains(&session))?;
        }
        self.control.close()?;
        Ok(self.entries)
    }
}

/// Puts neighbouring events of one transaction into the order of their text.
fn sort_events(entries: &mut [Entry]) {
    let zxid = |entry: &Entry| {
        let (_, event) = entry.text.split_once(": event ")?;
        event.split_once(" zxid=").map(|(_, zxid)| zxid.to_owned())
    };
    for together in entries.chunk_by_mut(|one, next| zxid(one).is_some() && zxid(one) == zxid(next)) {
        together.sort_by(|one, next| one.text.cmp(&next.text));
    }
}

/// A frame of a request without a body.
pub fn bare_frame(number: i32, op: OpCode) -> Vec<u8> {
    let contents = Body::new().int(number).int(op.number()).body(bare(op).body);
    crate::raw_client::frame(&contents.bytes(0))
}
