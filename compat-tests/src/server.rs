//! One server process under test: a folder of its own, a free port, and the ways to start and end it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::body::Body;
use crate::raw_client::{RawClient, Received};
use crate::{java, ours};

/// How long a server may take until it answers, or until it is gone. Generous, for machines under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the state of a process is looked at while something is waited for.
const POLL: Duration = Duration::from_millis(10);

/// How long one question whether the server is ready may take: Java forgets a question that comes too early.
const PROBE: Duration = Duration::from_millis(500);

/// Ports are taken below the range from which the kernel gives out client ports, so that no passing connection has one.
const PORTS: std::ops::Range<u16> = 15_000..31_000;

/// Lines of a server's log that a failure shows.
const LOG_TAIL_LINES: usize = 25;

/// Which implementation a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Apache ZooKeeper.
    Java,
    /// Rookeeper.
    Ours,
}

/// The password of the super user in every test: `super:test`.
pub const SUPER_AUTH: &[u8] = b"super:test";

/// A server's configuration, without its folder and port.
#[derive(Debug, Clone)]
pub struct Config {
    keys: Vec<(String, String)>,
    properties: Vec<(String, String)>,
}

impl Default for Config {
    /// What all tests want: long sessions where a script asks for them, every four-letter word, a super user.
    fn default() -> Self {
        let config = Self { keys: Vec::new(), properties: Vec::new() };
        config
            .key("tickTime", "2000")
            .key("maxSessionTimeout", "600000")
            .key("maxClientCnxns", "0")
            .key("admin.enableServer", "false")
            .key("4lw.commands.whitelist", "*")
            .key("preAllocSize", "1024")
            // No container goes by itself, except where a script waits for it.
            .property("znode.container.checkIntervalMs", "86400000")
            .key("DigestAuthenticationProvider.superDigest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=")
    }
}

impl Config {
    /// Sets a key of `zoo.cfg`.
    #[must_use]
    pub fn key(mut self, key: &str, value: &str) -> Self {
        self.keys.retain(|(known, _)| known != key);
        self.keys.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a key of `zoo.cfg` out.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.keys.retain(|(known, _)| known != key);
        self
    }

    /// Sets a Java system property, handed over as `-Dname=value`.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.retain(|(known, _)| known != name);
        self.properties.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flags(&self) -> String {
        let flags: Vec<_> = self.properties.iter().map(|(name, value)| format!("-D{name}={value}")).collect();
        flags.join(" ")
    }
}

/// A server process with its folder. Dropping it ends the process and removes the folder; so does the end of the
/// test process, whichever way it comes.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    folder: TempDir,
    port: u16,
    flags: String,
    process: Option<Process>,
}

#[derive(Debug)]
struct Process {
    server: Child,
    janitor: Child,
}

impl Server {
    /// Starts a server with empty data and waits until it answers.
    pub fn start(kind: Kind, config: &Config) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("compat-").tempdir().map_err(|error| error.to_string())?;
        let port = free_port()?;
        let mut text = format!(
            "dataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n",
            folder.path().join("data").display()
        );
        for (key, value) in &config.keys {
            text.push_str(&format!("{key}={value}\n"));
        }
        std::fs::write(folder.path().join("zoo.cfg"), text).map_err(|error| error.to_string())?;
        let mut server = Self { kind, folder, port, flags: config.flags(), process: None };
        server.start_again()?;
        Ok(server)
    }

    /// The implementation it runs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where its clients connect.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The folder with its data.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the process over the data that is there, and waits until it answers.
    pub fn start_again(&mut self) -> Result<(), String> {
        let log = self.log_file()?;
        let zoo_cfg = self.folder.path().join("zoo.cfg");
        let mut command = match self.kind {
            Kind::Java => java::command(&zoo_cfg, &self.flags),
            Kind::Ours => ours::command(&zoo_cfg, &self.flags),
        }?;
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let server = command.spawn().map_err(|error| format!("{command:?} does not start: {error}"))?;
        let janitor = janitor(server.id(), &self.folder).map_err(|error| format!("sh does not start: {error}"))?;
        self.process = Some(Process { server, janitor });
        let end = Instant::now() + PATIENCE;
        while !self.answers() {
            if !self.is_running() {
                return Err(self.broken("ended while it started"));
            }
            if Instant::now() > end {
                return Err(self.broken("does not answer"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.server.try_wait(), Ok(None)))
    }

    /// Ends the process with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Both may be gone already, which is what is wanted. The janitor goes first: it must not remove the folder.
            let _ = process.janitor.kill();
            let _ = process.janitor.wait();
            let _ = process.server.kill();
            let _ = process.server.wait();
        }
    }

    /// Ends the process with SIGTERM and waits for its end; returns its exit code, if it had one.
    pub fn terminate(&mut self) -> Result<Option<i32>, String> {
        let Some(process) = self.process.as_mut() else { return Ok(None) };
        let pid = process.server.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().map_err(|error| error.to_string())?;
        if !sent.success() {
            return Err(self.broken("could not be sent SIGTERM"));
        }
        let end = Instant::now() + PATIENCE;
        while self.is_running() {
            if Instant::now() > end {
                return Err(self.broken("is still there after SIGTERM"));
            }
            std::thread::sleep(POLL);
        }
        let code = self.process.as_mut().and_then(|process| process.server.wait().ok()?.code());
        self.kill();
        Ok(code)
    }

    /// The end of what the server has logged.
    pub fn log_tail(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(self.folder.path().join("log")) {
            let _ = file.read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// Asks to resume a session that was never given out: that is refused, by a server that serves, and leaves no trace.
    fn answers(&self) -> bool {
        let hello = Body::new().int(0).long(0).int(0).long(1).buffer(Some(&[0; 16])).boolean(false);
        let ask = || -> std::io::Result<Received> {
            let mut client = RawClient::connect(self.address())?;
            client.send_frame(&hello.bytes(0))?;
            Ok(client.receive(PROBE))
        };
        matches!(ask(), Ok(Received::Frame(_)))
    }

    fn log_file(&self) -> Result<File, String> {
        let path = self.folder.path().join("log");
        OpenOptions::new().create(true).append(true).open(path).map_err(|error| error.to_string())
    }

    fn broken(&self, what: &str) -> String {
        format!("the {:?} server on port {} {what}; the end of its log:\n{}", self.kind, self.port, self.log_tail())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends the server and removes its folder when this process is gone: it reads from a pipe that only we hold.
/// Statics are never dropped, and a killed test drops nothing.
fn janitor(pid: u32, folder: &TempDir) -> std::io::Result<Child> {
    let script = "trap '' INT TERM; read -r _; kill -9 \"$1\"; rm -rf \"$2\"";
    Command::new("sh")
        .args(["-c", script, "janitor", &pid.to_string()])
        .arg(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// A port that nothing listens on. Each call starts its search elsewhere, and so does each process.
fn free_port() -> Result<u16, String> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    for _ in 0..1000 {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(7919).wrapping_add(call.wrapping_mul(101)) % count;
        let port = PORTS.start + offset as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no free port in {PORTS:?}"))
}
