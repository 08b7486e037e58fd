//! A process that ends with whoever started it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// What is done, in this order, when the test process is gone: a killed test drops nothing, and statics are never
/// dropped. `$1` is the process, `$2` its folder. Continued first, since a stopped process keeps its files.
const JANITOR: &str = "trap '' INT TERM; read -r _; kill -9 \"$1\"; umount -l \"$2/data\"; rm -rf \"$2\"";

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    janitor: Child,
}

impl Process {
    /// Starts a command in a folder that is its own; what it prints is added to `log`.
    pub fn start(mut command: Command, folder: &Path, log: File) -> Result<Self, String> {
        command.current_dir(folder).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let child = command.spawn().map_err(|error| format!("{command:?} does not start: {error}"))?;
        let janitor = janitor(JANITOR, &[&child.id().to_string(), &folder.to_string_lossy()])?;
        Ok(Self { child, janitor })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) -> Result<(), String> {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        match sent {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("SIG{name} cannot be sent: {other:?}")),
        }
    }

    /// Ends it with SIGKILL if it is still there; returns how it ended.
    pub fn end(mut self) -> Option<ExitStatus> {
        // The janitor goes first: it must not remove the folder. Both may be gone already, which is what is wanted.
        let _ = self.janitor.kill();
        let _ = self.janitor.wait();
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

/// How much memory a process has at this moment.
pub fn resident_megabytes(process: u32) -> Result<u64, String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).map_err(|error| error.to_string())?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = size.and_then(|size| size.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map(|size| size / 1024).ok_or_else(|| format!("no size in: {status}"))
}

/// A shell that runs `script` when this process is gone: the script has to `read` first, from a pipe that only we hold.
pub fn janitor(script: &str, arguments: &[&str]) -> Result<Child, String> {
    let mut command = Command::new("sh");
    command.args(["-c", script, "janitor"]).args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| format!("sh does not start: {error}"))
}
