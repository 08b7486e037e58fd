//! A server as a child process that never outlives its test.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::four_letters;
use super::{Folder, PATIENCE, wait_until};

/// Lines of the log that a failing test shows.
const LINES_SHOWN: usize = 40;

/// What a process has logged so far.
#[derive(Debug, Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

/// A child process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: Arc<Log>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .env_remove("SERVER_JVMFLAGS")
            .env_remove("JVMFLAGS")
            .env_remove("ZOO_DATADIR_AUTOCREATE_DISABLE")
            .env_remove("ROOKEEPER_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Log::default());
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let filled = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                filled.lines.lock().unwrap().0.push(line);
                filled.grown.notify_all();
            }
            filled.lines.lock().unwrap().1 = true;
            filled.grown.notify_all();
        });
        Self { child, log }
    }

    /// `rookeeper server` with these words.
    pub(crate) fn server(words: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rookeeper"));
        command.arg("server").args(words);
        Self::spawn(command)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line that holds `text`; nothing if the process ends without it.
    pub(crate) fn line(&self, text: &str) -> Option<String> {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.0.iter().find(|line| line.contains(text)) {
                return Some(line.clone());
            }
            if lines.1 {
                return None;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not logged within {PATIENCE:?}: {text}\n{}", lines.0.join("\n"));
            lines = self.log.grown.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// All that was logged so far.
    pub(crate) fn logged(&self) -> String {
        self.log.lines.lock().unwrap().0.join("\n")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, and for the last line of the log.
    pub(crate) fn end(&mut self) -> End {
        let mut status: Option<ExitStatus> = None;
        wait_until("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some() && self.log.lines.lock().unwrap().1
        });
        End { code: status.unwrap().code(), log: self.logged() }
    }

    /// A number from `/proc/PID/status`, in kB.
    fn status_kb(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// TCP connections that it has open.
    pub(crate) fn connections(&self) -> usize {
        let mut sockets = BTreeSet::new();
        for family in ["tcp", "tcp6"] {
            let table = fs::read_to_string(format!("/proc/{}/net/{family}", self.pid())).unwrap_or_default();
            // The fourth column is the state (0A listens), the tenth the inode.
            let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let connected = columns.filter(|columns| columns.get(3) != Some(&"0A"));
            sockets.extend(connected.filter_map(|columns| Some(format!("socket:[{}]", columns.get(9)?))));
        }
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        targets.filter(|target| sockets.contains(&*target.to_string_lossy())).count()
    }

    /// Resident memory, in MiB.
    pub(crate) fn rss_mib(&self) -> u64 {
        self.status_kb("VmRSS:") / 1024
    }

    /// The most resident memory there ever was, in MiB.
    pub(crate) fn peak_rss_mib(&self) -> u64 {
        self.status_kb("VmHWM:") / 1024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        // Errors mean that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if failed {
            let lines = self.log.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let shown = lines.0.len().saturating_sub(LINES_SHOWN);
            eprintln!("--- process {}, last lines:\n{}", self.pid(), lines.0[shown..].join("\n"));
        }
    }
}

/// A server that has started.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    /// Where clients reach it.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server on a port that the system chooses, with its data in the folder's `data` unless the keys say
    /// otherwise.
    pub(crate) fn start(folder: &Folder, keys: &[(&str, &str)]) -> Self {
        Self::try_start(folder, keys).unwrap_or_else(|end| panic!("no start: {end:?}"))
    }

    /// The same; how it ended if it did not come so far.
    pub(crate) fn try_start(folder: &Folder, keys: &[(&str, &str)]) -> Result<Self, End> {
        let file = configuration(folder, keys);
        Self::await_start(Process::server(&[file.to_str().unwrap()]))
    }

    /// Waits until a process that was just started serves.
    pub(crate) fn await_start(mut process: Process) -> Result<Self, End> {
        let Some(line) = process.line("listening for clients on ") else { return Err(process.end()) };
        let (_, address) = line.split_once("listening for clients on ").unwrap();
        let mut address: SocketAddr = address.trim().parse().unwrap();
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) || address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        Ok(Self { process, address })
    }

    /// A number that `mntr` tells; the word must be on the white list.
    pub(crate) fn told(&self, name: &str) -> u64 {
        let text = four_letters(self.address, "mntr").unwrap();
        let line = text.lines().find(|line| line.split('\t').next() == Some(name));
        let number = line.and_then(|line| line.split('\t').nth(1)).and_then(|number| number.parse::<f64>().ok());
        number.unwrap_or_else(|| panic!("no {name} in: {text}")) as u64
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
    }

    /// Tells it to stop; how long that took. It must end with 0.
    pub(crate) fn stop(mut self, signal: Signal) -> Duration {
        let began = Instant::now();
        self.process.signal(signal);
        let mut took = None;
        wait_until("the server stops", || {
            took = (!self.process.is_running()).then(|| began.elapsed());
            took.is_some()
        });
        let end = self.process.end();
        assert_eq!(end.code, Some(0), "{}", end.log);
        took.unwrap()
    }
}

/// Writes a zoo.cfg.
pub(crate) fn configuration(folder: &Folder, keys: &[(&str, &str)]) -> PathBuf {
    let data = folder.data();
    let defaults =
        [("dataDir", data.to_str().unwrap()), ("clientPort", "0"), ("tickTime", "2000"), ("maxClientCnxns", "0")];
    let given = |name| keys.iter().any(|(key, _)| *key == name);
    let defaults = defaults.iter().filter(|(name, _)| !given(*name));
    let text: String = defaults.chain(keys).map(|(key, value)| format!("{key}={value}\n")).collect();
    folder.write("zoo.cfg", &text)
}
