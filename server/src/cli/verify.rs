//! `rookeeper verify`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use rookeeper_core::tree::TreeRules;
use rookeeper_protocol::types::ExtendedTypes;
use rookeeper_storage::StoreOptions;
use rookeeper_storage::log::LogOptions;

use crate::disk;

/// What to check.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The server's dataDir.
    dir: PathBuf,
    /// The server's dataLogDir, when it is another folder.
    #[arg(long)]
    log_dir: Option<PathBuf>,
    /// The server runs with extendedTypesEnabled=true.
    #[arg(long)]
    extended_types: bool,
}

/// Checks and prints what was found; the exit code tells whether a server would start.
pub(super) fn run(args: &VerifyArgs) -> ExitCode {
    let options = StoreOptions {
        data_dir: args.dir.clone(),
        data_log_dir: args.log_dir.clone().unwrap_or_else(|| args.dir.clone()),
        log: LogOptions::default(),
        server: None,
        trust_empty: true,
    };
    let extended_types = ExtendedTypes { enabled: args.extended_types, emulate_353: false };
    match disk::verify(&options, TreeRules { extended_types, digest: true }) {
        Ok(report) => {
            use std::io::Write;
            // A reader that went away is no reason to fail.
            let _ = writeln!(std::io::stdout(), "{report}");
            if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(3) }
        }
        Err(error) => {
            eprintln!("rookeeper verify: {error}");
            ExitCode::from(3)
        }
    }
}
