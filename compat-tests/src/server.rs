//! One server process under test: a folder of its own, a free port, and the ways to start and end it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::body::Body;
use crate::process::Process;
use crate::raw_client::{RawClient, Received};
use crate::{java, ours};

/// How long a server may take until it answers, or until it is gone. Generous, for machines under load.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often the state of a process is looked at while something is waited for.
pub const POLL: Duration = Duration::from_millis(10);

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
    /// Apache ZooKeeper of the line before, which members of an ensemble may still run.
    OlderJava,
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
    address: SocketAddr,
    network: Option<String>,
    flags: String,
    process: Option<Process>,
}

impl Server {
    /// Starts a server with empty data and waits until it answers.
    pub fn start(kind: Kind, config: &Config) -> Result<Self, String> {
        let address = (Ipv4Addr::LOCALHOST, free_port()?).into();
        let mut server = Self::prepare(kind, config, address, None)?;
        server.start_again()?;
        Ok(server)
    }

    /// Makes the folder of a server and its zoo.cfg, and starts nothing. It will run in the named network namespace, if
    /// there is one.
    pub fn prepare(kind: Kind, config: &Config, address: SocketAddr, network: Option<String>) -> Result<Self, String> {
        let mut folder = tempfile::Builder::new().prefix("compat-").tempdir().map_err(|error| error.to_string())?;
        folder.disable_cleanup(std::env::var_os("COMPAT_KEEP").is_some());
        let server = Self { kind, folder, address, network, flags: config.flags(), process: None };
        let mut text = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress={}\n",
            server.data_folder().display(),
            address.port(),
            address.ip()
        );
        for (key, value) in &config.keys {
            text.push_str(&format!("{key}={value}\n"));
        }
        std::fs::write(server.zoo_cfg(), text).map_err(|error| error.to_string())?;
        Ok(server)
    }

    /// The implementation it runs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Another implementation takes over folder and address at the next start.
    pub fn become_kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    /// Where its clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Clients find it elsewhere from now on: it was told so by others than its zoo.cfg.
    pub fn moved(&mut self, address: SocketAddr) {
        self.address = address;
    }

    /// The folder that is its own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder with its data.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn zoo_cfg(&self) -> PathBuf {
        self.folder.path().join("zoo.cfg")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts the process over the data that is there, and waits until it answers.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.launch()?;
        self.wait_until("does not answer", Self::answers)
    }

    /// Starts the process over the data that is there, and waits for nothing.
    pub fn launch(&mut self) -> Result<(), String> {
        let command = match self.kind {
            Kind::Java => java::command(&self.zoo_cfg(), &self.flags, java::CURRENT),
            Kind::OlderJava => java::command(&self.zoo_cfg(), &self.flags, java::OLDER),
            Kind::Ours => ours::command(&self.zoo_cfg(), &self.flags),
        }?;
        let command = match &self.network {
            Some(network) => within(network, &command),
            None => command,
        };
        self.process = Some(Process::start(command, self.folder.path(), self.log_file()?)?);
        Ok(())
    }

    /// Waits until a running server is as wanted; `or_else` says what is wrong with one that never gets there.
    pub fn wait_until(&mut self, or_else: &str, mut wanted: impl FnMut(&mut Self) -> bool) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        while !wanted(self) {
            if !self.is_running() {
                return Err(self.broken("has ended"));
            }
            if Instant::now() > end {
                return Err(self.broken(or_else));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// The number of the process, if there is one.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Ends the process with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.end();
        }
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) -> Result<(), String> {
        let process = self.process.as_ref().ok_or_else(|| self.broken("does not run"))?;
        process.signal(name).map_err(|error| self.broken(&error))
    }

    /// Ends the process with SIGTERM and waits for its end; returns its exit code, if it had one.
    pub fn terminate(&mut self) -> Result<Option<i32>, String> {
        if self.process.is_none() {
            return Ok(None);
        }
        self.signal("TERM")?;
        let end = Instant::now() + PATIENCE;
        while self.is_running() {
            if Instant::now() > end {
                return Err(self.broken("is still there after SIGTERM"));
            }
            std::thread::sleep(POLL);
        }
        Ok(self.process.take().and_then(Process::end).and_then(|status| status.code()))
    }

    /// Asks an operator's question, over a connection of its own; `None` when no answer comes in time.
    pub fn ask(&self, word: &str) -> Option<String> {
        let mut client = RawClient::connect(self.address).ok()?;
        client.send(word.as_bytes()).ok()?;
        match client.receive_all(PROBE) {
            (reply, Received::Closed(_)) => Some(String::from_utf8_lossy(&reply).into_owned()),
            _ => None,
        }
    }

    /// All that the server has logged, over all its starts.
    pub fn log_text(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = File::open(self.log()) {
            let _ = file.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The end of what the server has logged.
    pub fn log_tail(&self) -> String {
        let text = self.log_text();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// Asks to resume a session that was never given out: that is refused, by a server that serves, and leaves no trace.
    fn answers(&mut self) -> bool {
        let hello = Body::new().int(0).long(0).int(0).long(1).buffer(Some(&[0; 16])).boolean(false);
        let ask = || -> std::io::Result<Received> {
            let mut client = RawClient::connect(self.address)?;
            client.send_frame(&hello.bytes(0))?;
            Ok(client.receive(PROBE))
        };
        matches!(ask(), Ok(Received::Frame(_)))
    }

    fn log_file(&self) -> Result<File, String> {
        OpenOptions::new().create(true).append(true).open(self.log()).map_err(|error| error.to_string())
    }

    /// What is wrong with it, and the end of its log.
    pub fn broken(&self, what: &str) -> String {
        let (folder, log) = (self.folder.path().display(), self.log_tail());
        format!("the {:?} server at {} in {folder} {what}; the end of its log:\n{log}", self.kind, self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The same command in a network namespace. `ip` becomes the command itself, so that signals reach it.
fn within(network: &str, command: &Command) -> Command {
    let mut within = Command::new("ip");
    within.args(["netns", "exec", network]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => within.env(name, value),
            None => within.env_remove(name),
        };
    }
    within
}

/// A port that nothing listens on. Each call starts its search elsewhere, and so does each process.
pub fn free_port() -> Result<u16, String> {
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
