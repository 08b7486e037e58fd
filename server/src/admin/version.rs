//! Which version this is.
//!
//! Clients and monitors read the number in front to know what the server can do, so that it is the version of
//! Apache ZooKeeper whose behaviour this server has. What stands where Java has the hash of its source names
//! this server; only letters, digits, dots and hyphens may stand there, since some read no further.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The version of Apache ZooKeeper that this server behaves like.
const ZOOKEEPER_VERSION: &str = "3.9.5";

/// When this was built, in seconds since 1970 (see build.rs).
const BUILT: &str = env!("ROOKEEPER_BUILT");

/// The version and the time it was built, in the form of `Version#getFullVersion`.
pub(super) fn full() -> String {
    let built = Timestamp::from_second(BUILT.parse().unwrap_or_default()).unwrap_or_default();
    let built = built.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string();
    format!("{ZOOKEEPER_VERSION}-rookeeper-{}, built on {built}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_version_has_the_form_that_others_read() {
        let full = full();
        let (version, built) = full.split_once(", built on ").unwrap();
        assert!(version.starts_with("3.9.5-rookeeper-"), "{version}");
        assert!(version.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)), "{version}");
        let shape: String = built.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00 00:00 UTC");
        assert!(!built.starts_with("1970"));
    }
}
