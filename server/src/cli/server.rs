//! `rookeeper server`.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::config::{self, ConfigError, JvmFlags, ServerConfig};
use crate::runtime;

/// Runs a server until it is told to stop.
pub(super) fn run(words: &[String]) -> ExitCode {
    let filter = EnvFilter::try_from_env("ROOKEEPER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .with_target(false)
        .init();
    let config = match configuration(words) {
        Ok(config) => config,
        Err(error) => {
            for problem in &error.problems {
                tracing::error!("{problem}");
            }
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    let stopped = runtime::start(config).and_then(runtime::Started::run_until_stopped);
    match stopped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn configuration(words: &[String]) -> Result<ServerConfig, ConfigError> {
    let flags = JvmFlags::from_env();
    match words {
        [] => config::embedded_default(&flags),
        [file] => config::from_file(Path::new(file), &flags),
        words => config::from_arguments(words, &flags),
    }
}
