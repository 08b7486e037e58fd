//! How Rookeeper is started.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The command that runs Rookeeper with this `zoo.cfg` and these Java properties.
///
/// Fails with instructions when the binary is not there.
pub fn command(zoo_cfg: &Path, flags: &str) -> Result<Command, String> {
    let binary = binary();
    if !binary.is_file() {
        return Err(format!(
            "no rookeeper at {}: run `cargo build --release -p rookeeper`, or set ROOKEEPER_BIN",
            binary.display()
        ));
    }
    let mut command = Command::new(binary);
    command.arg("server").arg(zoo_cfg).env("SERVER_JVMFLAGS", flags).env_remove("JVMFLAGS");
    Ok(command)
}

/// The binary under test.
pub fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("ROOKEEPER_BIN") {
        return binary.into();
    }
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => target.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
    };
    target.join("release/rookeeper")
}
