//! The forms in which a server is started: with zoo.cfg, with port and directory
//! (`ServerConfig.parse`), or with nothing.

use std::path::{Path, PathBuf};

use rookeeper_protocol::properties;

use super::build::{self, CommandLine, Source, info};
use super::error::{ConfigError, Origin, Problem};
use super::jvm_flags::JvmFlags;
use super::server_config::ServerConfig;
use super::settings::Settings;
use super::value;

/// Where a server without any configuration keeps its data.
const EMBEDDED_DATA_DIR: &str = "./rookeeper-data";

/// Reads zoo.cfg. The properties of `flags` count where the file does not name them.
pub fn from_file(path: &Path, flags: &JvmFlags) -> Result<ServerConfig, ConfigError> {
    let unreadable = |error: std::io::Error| {
        let text = format!("cannot be read: {error}; give the path of a configuration file");
        Problem::new(Some(Origin::file(path)), None, text)
    };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let entries = properties::parse_latin1(&bytes)
        .map_err(|bad| Problem::new(Some(Origin::line(path, bad.line)), None, bad.to_string()))?;
    let mut settings = Settings::new(flags);
    settings.add_file(path, entries);
    build::build(settings, Source::File { path })
}

/// Reads `port dataDir [tickTime] [maxClientCnxns]`. As in Java, maxClientCnxns is 0 here when it
/// is not given: no limit.
pub fn from_arguments(arguments: &[String], flags: &JvmFlags) -> Result<ServerConfig, ConfigError> {
    const DEFAULT_TICK_TIME_MS: i32 = 3000;
    if !(2..=4).contains(&arguments.len()) {
        let text = format!(
            "{} words were given; write a configuration file, or: port dataDir [tickTime] [maxClientCnxns]",
            arguments.len()
        );
        return Err(Problem::new(None, None, text).into());
    }
    let number = |position: usize, name: &str, default: i32| match arguments.get(position - 1) {
        None => Ok(default),
        Some(word) => value::parse_int(word).ok_or_else(|| {
            let text = format!("{word:?} is not allowed; it must be a whole number from {} to {}", i32::MIN, i32::MAX);
            Problem::new(Some(Origin::Argument { position }), Some(name), text)
        }),
    };
    let port = number(1, "port", 0)?;
    let client_port = u16::try_from(port).map_err(|_| {
        let text = format!("{port} is not allowed; it must be a port from 0 to 65535");
        Problem::new(Some(Origin::Argument { position: 1 }), Some("port"), text)
    })?;
    if arguments[1].is_empty() {
        return Err(Problem::new(
            Some(Origin::Argument { position: 2 }),
            Some("dataDir"),
            "is empty; name a directory",
        )
        .into());
    }
    let line = CommandLine {
        client_port,
        data_dir: PathBuf::from(&arguments[1]),
        tick_time_ms: number(3, "tickTime", DEFAULT_TICK_TIME_MS)?,
        max_client_cnxns: number(4, "maxClientCnxns", 0)?,
    };
    build::build(Settings::new(flags), Source::CommandLine(line))
}

/// A server that was given nothing: port 2181, data in the working directory, and the values of
/// the sample zoo.cfg that Apache ZooKeeper comes with.
pub fn embedded_default(flags: &JvmFlags) -> Result<ServerConfig, ConfigError> {
    let line = CommandLine {
        client_port: 2181,
        data_dir: PathBuf::from(EMBEDDED_DATA_DIR),
        tick_time_ms: 2000,
        max_client_cnxns: 60,
    };
    let text = format!(
        "no configuration was given: port {}, data in {}, tickTime {} ms",
        line.client_port,
        line.data_dir.display(),
        line.tick_time_ms
    );
    let mut config = build::build(Settings::new(flags), Source::CommandLine(line))?;
    config.notes.insert(0, info(text));
    Ok(config)
}
