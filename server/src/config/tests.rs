//! Tests of the whole way from text to [`super::ServerConfig`].
#![allow(clippy::unwrap_used)]

mod against_java;
mod commands;
mod document;
mod hostile;
mod messages;

use std::path::Path;

use super::{ConfigError, JvmFlags, ServerConfig, from_file};

/// The options of a JVM as they would stand in JVMFLAGS.
fn jvm(flags: &str) -> JvmFlags {
    let flags = flags.to_owned();
    JvmFlags::read(move |variable| (variable == "JVMFLAGS").then(|| flags.clone()))
}

/// Reads a text as zoo.cfg of a folder of its own.
fn read(text: &str, flags: &str) -> Result<ServerConfig, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zoo.cfg");
    std::fs::write(&path, text).unwrap();
    from_file(&path, &jvm(flags)).map_err(|error| shorten(error, folder.path()))
}

/// Paths in messages without the folder, which differs from run to run.
fn shorten(mut error: ConfigError, folder: &Path) -> ConfigError {
    for problem in &mut error.problems {
        if let Some(super::Origin::Line { path, .. } | super::Origin::File { path }) = &mut problem.origin {
            *path = path.strip_prefix(folder).unwrap().to_path_buf();
        }
    }
    error
}
