//! A script: steps over named connections, the same for every server.

use std::time::Duration;

use rookeeper_protocol::client::xid;
use rookeeper_protocol::types::OpCode;

use crate::raw_client::frame;
use crate::request::{Request, bare};

/// How long an answer may take that is sure to come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The session timeout that connections ask for unless told otherwise: longer than any script takes.
const LONG_TIMEOUT_MS: i32 = 300_000;

/// Which session a connection asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// A new one.
    New,
    /// The one that the connection of this name last had.
    Of(String),
    /// An id that no server gave out.
    Unknown(i64),
}

/// The password sent along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Password {
    /// The session's; zeros for a new one.
    Right,
    /// These bytes, or null.
    Bytes(Option<Vec<u8>>),
}

/// A connect request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Protocol version; 0 is the only one.
    pub protocol_version: i32,
    /// Last zxid seen, counted from the last one before the script; `None` sends 0.
    pub last_zxid_seen: Option<i64>,
    /// The timeout asked for, in milliseconds.
    pub timeout_ms: i32,
    /// The session asked for.
    pub session: Session,
    /// The password sent.
    pub password: Password,
    /// The byte for readOnly, left out with `None`.
    pub read_only: Option<u8>,
    /// Bytes behind the request, within its frame.
    pub trailing: Vec<u8>,
    /// Bytes kept of the request, if it is cut short.
    pub cut: Option<usize>,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            protocol_version: 0,
            last_zxid_seen: None,
            timeout_ms: LONG_TIMEOUT_MS,
            session: Session::New,
            password: Password::Right,
            read_only: Some(0),
            trailing: Vec::new(),
            cut: None,
        }
    }
}

impl Hello {
    /// Resumes the session of the connection of this name.
    pub fn resume(conn: &str) -> Self {
        Self { session: Session::Of(conn.to_owned()), ..Self::default() }
    }
}

impl std::fmt::Display for Hello {
    /// Only what is out of the ordinary.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let usual = Self::default();
        write!(f, "session={:?}", self.session)?;
        if self.protocol_version != usual.protocol_version {
            write!(f, " version={}", self.protocol_version)?;
        }
        if let Some(seen) = self.last_zxid_seen {
            write!(f, " seen=base+{seen}")?;
        }
        if self.timeout_ms != usual.timeout_ms {
            write!(f, " timeout={}", self.timeout_ms)?;
        }
        if self.password != usual.password {
            write!(f, " password={:?}", self.password)?;
        }
        if self.read_only != usual.read_only {
            write!(f, " read_only={:?}", self.read_only)?;
        }
        if !self.trailing.is_empty() {
            write!(f, " and {} bytes more", self.trailing.len())?;
        }
        if let Some(cut) = self.cut {
            write!(f, " cut to {cut} bytes")?;
        }
        Ok(())
    }
}

/// What is done to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// SIGKILL, then a start over the same data.
    KillAndRestart,
    /// SIGTERM, then a start over the same data.
    StopAndRestart,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Opens a connection and sends nothing.
    Open(String),
    /// Sends a connect request, without reading the answer.
    Hello(String, Hello),
    /// Sends a request with this xid.
    Send(String, i32, Request),
    /// Sends bytes.
    SendRaw(String, Vec<u8>),
    /// Reads so many frames.
    Read(String, usize),
    /// Reads until everything asked on this connection is answered.
    Replies(String),
    /// Pings, and reads all that comes before the answer.
    Settle(String),
    /// The same, where a session has ended: the events about its ephemeral znodes, which Java keeps in a set, come in no
    /// order.
    SettleAfterSession(String),
    /// Waits for the server to close the connection, reading all that comes before.
    Closed(String),
    /// Ends sending (FIN), while reading goes on.
    FinishSending(String),
    /// Closes the connection without a word.
    Drop(String),
    /// Sends a four-letter word, and what may follow it, over a connection of its own and reads to the end.
    Ask(Vec<u8>),
    /// Waits, over the comparison's own connection, until the znode is there or gone.
    WaitUntil {
        /// The znode.
        path: String,
        /// Whether it shall be there.
        exists: bool,
    },
    /// Does something to the server. All connections are gone afterwards.
    Server(Control),
}

/// A list of steps.
#[derive(Debug, Clone)]
pub struct Script {
    /// Its name, which is also its own znode: `/name` is there before the first step, and its whole subtree is compared
    /// after the last.
    pub name: String,
    /// The steps.
    pub steps: Vec<Step>,
    next_xid: i32,
}

impl Script {
    /// An empty script.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), steps: Vec::new(), next_xid: 1 }
    }

    /// A path below the script's own znode; the znode itself for the empty name.
    pub fn path(&self, name: &str) -> String {
        if name.is_empty() { format!("/{}", self.name) } else { format!("/{}/{name}", self.name) }
    }

    /// Adds a step.
    pub fn step(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Opens a connection without a word.
    pub fn open(&mut self, conn: &str) {
        self.step(Step::Open(conn.to_owned()));
    }

    /// Opens a connection with a new session.
    pub fn connect(&mut self, conn: &str) {
        self.connect_with(conn, Hello::default());
    }

    /// Opens a connection with this connect request and reads the answer to it.
    pub fn connect_with(&mut self, conn: &str, hello: Hello) {
        self.open(conn);
        self.step(Step::Hello(conn.to_owned(), hello));
        self.read(conn, 1);
    }

    /// Sends a request and reads all up to its reply.
    pub fn call(&mut self, conn: &str, request: Request) {
        self.send(conn, request);
        self.replies(conn);
    }

    /// Sends a request.
    pub fn send(&mut self, conn: &str, request: Request) {
        let number = match OpCode::from_number(request.op) {
            Some(OpCode::Ping) => xid::PING,
            Some(OpCode::Auth) => xid::AUTH,
            Some(OpCode::SetWatches | OpCode::SetWatches2) => xid::SET_WATCHES,
            _ => {
                self.next_xid += 1;
                self.next_xid - 1
            }
        };
        self.send_as(conn, number, request);
    }

    /// Sends a request with an xid of one's own.
    pub fn send_as(&mut self, conn: &str, number: i32, request: Request) {
        self.step(Step::Send(conn.to_owned(), number, request));
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, conn: &str, bytes: &[u8]) {
        self.step(Step::SendRaw(conn.to_owned(), bytes.to_vec()));
    }

    /// Sends a frame of any contents.
    pub fn send_frame(&mut self, conn: &str, contents: &[u8]) {
        self.send_raw(conn, &frame(contents));
    }

    /// Reads so many frames.
    pub fn read(&mut self, conn: &str, frames: usize) {
        self.step(Step::Read(conn.to_owned(), frames));
    }

    /// Reads until all is answered.
    pub fn replies(&mut self, conn: &str) {
        self.step(Step::Replies(conn.to_owned()));
    }

    /// Reads all that was on its way.
    pub fn settle(&mut self, conn: &str) {
        self.step(Step::Settle(conn.to_owned()));
    }

    /// Reads all that was on its way, after the end of a session with several ephemeral znodes.
    pub fn settle_after_session(&mut self, conn: &str) {
        self.step(Step::SettleAfterSession(conn.to_owned()));
    }

    /// Waits for the server to close.
    pub fn closed(&mut self, conn: &str) {
        self.step(Step::Closed(conn.to_owned()));
    }

    /// Closes the connection without a word.
    pub fn drop_connection(&mut self, conn: &str) {
        self.step(Step::Drop(conn.to_owned()));
    }

    /// Closes the session and waits for the end.
    pub fn close_session(&mut self, conn: &str) {
        self.call(conn, bare(OpCode::CloseSession));
        self.closed(conn);
    }

    /// Sends a four-letter word.
    pub fn ask(&mut self, word: &str) {
        self.step(Step::Ask(word.as_bytes().to_vec()));
    }

    /// Waits until a znode is gone.
    pub fn wait_gone(&mut self, path: &str) {
        self.step(Step::WaitUntil { path: path.to_owned(), exists: false });
    }

    /// Waits until a znode is there.
    pub fn wait_there(&mut self, path: &str) {
        self.step(Step::WaitUntil { path: path.to_owned(), exists: true });
    }

    /// Ends the server and starts it again.
    pub fn restart(&mut self, control: Control) {
        self.step(Step::Server(control));
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(conn) => write!(f, "{conn}: open"),
            Self::Hello(conn, hello) => write!(f, "{conn}: connect {hello}"),
            Self::Send(conn, number, request) => write!(f, "{conn}: send xid={number} {}", request.label),
            Self::SendRaw(conn, bytes) => {
                write!(f, "{conn}: send {} bytes {}", bytes.len(), crate::view::hex(bytes))
            }
            Self::Read(conn, frames) => write!(f, "{conn}: read {frames}"),
            Self::Replies(conn) => write!(f, "{conn}: read all replies"),
            Self::Settle(conn) => write!(f, "{conn}: settle"),
            Self::SettleAfterSession(conn) => write!(f, "{conn}: settle after the end of a session"),
            Self::Closed(conn) => write!(f, "{conn}: wait until closed"),
            Self::FinishSending(conn) => write!(f, "{conn}: finish sending"),
            Self::Drop(conn) => write!(f, "{conn}: drop"),
            Self::Ask(word) => write!(f, "ask {}", word.escape_ascii()),
            Self::WaitUntil { path, exists: true } => write!(f, "wait until {path} is there"),
            Self::WaitUntil { path, exists: false } => write!(f, "wait until {path} is gone"),
            Self::Server(control) => write!(f, "server: {control:?}"),
        }
    }
}
