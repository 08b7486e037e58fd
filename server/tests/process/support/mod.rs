//! What the tests share.

pub(crate) mod ask;
pub(crate) mod client;
pub(crate) mod folder;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod witness;

use std::io::Write;
use std::time::{Duration, Instant};

pub(crate) use client::Client;
pub(crate) use folder::Folder;
pub(crate) use process::Server;

/// How long anything may take that is no test's subject. Far above what it takes: the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Looks until the condition holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Tells that a test cannot run here, past the harness, which hides what a passing test prints.
pub(crate) fn not_run(what: &str, why: &str) {
    assert!(std::env::var_os("ROOKEEPER_RUN_ALL").is_none(), "ROOKEEPER_RUN_ALL is set, but {what} cannot run: {why}");
    std::io::stderr().write_all(format!("NOT RUN: {what}: {why}\n").as_bytes()).unwrap();
}

/// Lets this process, and so the servers it starts, have `count` open files. False if the system refuses.
pub(crate) fn allow_open_files(count: u64) -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    if now.current.is_none_or(|current| current >= count) {
        return true;
    }
    let maximum = now.maximum.map(|maximum| maximum.max(count));
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum }).is_ok()
}
