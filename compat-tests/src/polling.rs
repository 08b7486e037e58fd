//! Waiting for what another process does: it is looked at again and again until a deadline.

use std::time::Instant;

use crate::server::{PATIENCE, POLL};

/// Looks until something is so. An error, if it is not within [`PATIENCE`], or cannot be seen.
pub fn until(what: &str, mut so: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while !so()? {
        if Instant::now() > end {
            return Err(format!("{what}: not within {PATIENCE:?}"));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}
