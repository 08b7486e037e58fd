//! `envi`: what the process runs in (`Environment`).
//!
//! All of Java's keys are there, since some clients read them by name. What only a JVM has is `<NA>`, which is
//! what Java prints itself for a property that it lacks; everything else is this process's or this machine's.

use std::fmt::Write;

use rustix::param::page_size;
use rustix::process::getuid;
use rustix::system::uname;

use super::version;

const NOT_AVAILABLE: &str = "<NA>";

/// The answer to `envi`.
pub(super) fn envi() -> String {
    let names = uname();
    let system = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let missing = || NOT_AVAILABLE.to_owned();
    let path = |path: Option<std::path::PathBuf>| path.map_or_else(missing, |path| path.display().to_string());
    let memory = Memory::now();
    let lines = [
        ("zookeeper.version", version::full()),
        ("host.name", system(names.nodename())),
        ("java.version", missing()),
        ("java.vendor", missing()),
        ("java.home", missing()),
        ("java.class.path", missing()),
        ("java.library.path", missing()),
        ("java.io.tmpdir", path(Some(std::env::temp_dir()))),
        ("java.compiler", missing()),
        ("os.name", system(names.sysname())),
        ("os.arch", java_arch(&system(names.machine()))),
        ("os.version", system(names.release())),
        ("user.name", user_name().unwrap_or_else(missing)),
        ("user.home", path(std::env::home_dir())),
        ("user.dir", path(std::env::current_dir().ok())),
        ("os.memory.free", megabytes(memory.free)),
        ("os.memory.max", megabytes(memory.max)),
        ("os.memory.total", megabytes(memory.total)),
    ];
    let mut text = "Environment:\n".to_owned();
    for (key, value) in lines {
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

/// Java's names of the processors that differ from the system's.
fn java_arch(machine: &str) -> String {
    match machine {
        "x86_64" => "amd64",
        other => other,
    }
    .to_owned()
}

/// Who runs this process.
fn user_name() -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    named(&users, getuid().as_raw()).or_else(|| std::env::var("USER").ok())
}

/// The name that a list in the form of /etc/passwd has for a user.
fn named(users: &str, uid: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// Memory in bytes. Java tells of its heap; here there is none, so that the machine's memory is what a process
/// may take at most, and what the process has is the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Memory {
    free: Option<u64>,
    max: Option<u64>,
    total: Option<u64>,
}

impl Memory {
    fn now() -> Self {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let machine = read("/proc/meminfo");
        let resident: Option<u64> = read("/proc/self/statm").split(' ').nth(1).and_then(|pages| pages.parse().ok());
        Self {
            free: machine_memory(&machine, "MemAvailable:"),
            max: machine_memory(&machine, "MemTotal:"),
            total: resident.map(|pages| pages * page_size() as u64),
        }
    }
}

/// A value of /proc/meminfo in bytes.
fn machine_memory(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| NOT_AVAILABLE.to_owned(), |bytes| format!("{}MB", bytes >> 20))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_keys_are_javas() {
        let text = envi();
        let keys: Vec<_> = text.lines().map(|line| line.split('=').next().unwrap()).collect();
        let expected = "Environment: zookeeper.version host.name java.version java.vendor java.home java.class.path \
                        java.library.path java.io.tmpdir java.compiler os.name os.arch os.version user.name user.home \
                        user.dir os.memory.free os.memory.max os.memory.total";
        assert_eq!(keys.join(" "), expected);
        assert!(text.ends_with("MB\n"), "{text}");
    }

    #[test]
    fn users_and_memory_are_found() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\nkeeper:x:1000:1000::/home/keeper:/bin/sh\n";
        assert_eq!((named(users, 1000).as_deref(), named(users, 7)), (Some("keeper"), None));
        assert_eq!(machine_memory("MemTotal:  2048 kB\nMemFree: 5 kB\n", "MemTotal:"), Some(2 << 20));
        assert_eq!((machine_memory("", "MemTotal:"), megabytes(None)), (None, "<NA>".to_owned()));
        assert_eq!((megabytes(Some(3 << 20)).as_str(), java_arch("x86_64").as_str()), ("3MB", "amd64"));
    }
}
