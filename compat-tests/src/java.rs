//! How Apache ZooKeeper is started.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Options that make a short-lived JVM start sooner; they change nothing that a client sees.
const QUICK_START: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto -Xss512k";

/// The part of the provision with the version that everything is compared with.
pub const CURRENT: &str = "zookeeper";

/// The part with the version of the line before.
pub const OLDER: &str = "zookeeper-older";

/// The command that runs Apache ZooKeeper with this `zoo.cfg` and these Java properties, of [`CURRENT`] or
/// [`OLDER`] jars.
///
/// Fails with instructions when its jars are not there.
pub fn command(zoo_cfg: &Path, flags: &str, part: &str) -> Result<Command, String> {
    let provision = Path::new(env!("CARGO_MANIFEST_DIR")).join("provision");
    let jars = cache().join("jars").join(part);
    if !jars.is_dir() {
        return Err(format!(
            "Apache ZooKeeper is not at {}: run {}/provision.sh {part}",
            jars.display(),
            provision.display()
        ));
    }
    let mut command = Command::new(provision.join("zookeeper-server.sh"));
    command.arg(zoo_cfg).env("SERVER_JVMFLAGS", format!("{QUICK_START} {flags}")).env_remove("JVMFLAGS");
    command.env("ZK_SERVER_HEAP", "512").env("ZK_LOG_LEVEL", "WARN").env("ZK_JARS", part);
    Ok(command)
}

fn cache() -> PathBuf {
    match std::env::var_os("ROOKEEPER_CACHE") {
        Some(cache) => cache.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rookeeper"),
    }
}
