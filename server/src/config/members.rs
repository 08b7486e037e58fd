//! The list of servers, from zoo.cfg or from a dynamic file (`QuorumPeerConfig.parseDynamicConfig`): which lines
//! belong to it and where their mistakes stand. What the lines mean is the core's.

use std::collections::BTreeMap;
use std::path::Path;

use rookeeper_core::ensemble::{EnsembleConfig, is_config_key};
use rookeeper_protocol::properties::{self, Entry};

use super::error::{Origin, Problem};
use super::value;

/// One `server.N`, `group.N`, `weight.N` or `version` with the place it was written at.
#[derive(Debug, Clone)]
pub(super) struct MemberLine {
    pub(super) key: String,
    /// Not trimmed: Java reads these values as they stand.
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Reads the lines of a list of servers; other keys are skipped.
pub(super) fn parse(lines: &[MemberLine], multi_address: bool) -> Result<EnsembleConfig, Vec<Problem>> {
    let pairs: Vec<_> = lines.iter().map(|line| (line.key.as_str(), line.value.as_str())).collect();
    EnsembleConfig::from_lines(&pairs, multi_address).map_err(|errors| {
        let place = |line: Option<usize>| lines.get(line?).map(|line| line.origin.clone());
        let problem = |error: &rookeeper_core::ensemble::ConfigError| {
            Problem::new(place(error.line), error.key.as_deref(), error.problem.to_string())
        };
        errors.iter().map(problem).collect()
    })
}

/// Reads a file that holds a list of servers and nothing else.
pub(super) fn read_dynamic_file(path: &Path, multi_address: bool) -> Result<EnsembleConfig, Vec<Problem>> {
    let entries = read_entries(path)?;
    let strange: Vec<_> = entries
        .iter()
        .filter(|entry| !is_config_key(value::trim(&entry.key)))
        .map(|entry| {
            let text = if entry.key == "version" {
                "may not stand in a dynamic file; the version is the end of the file's name, in hexadecimal"
            } else {
                "may not stand in a dynamic file, only server.N, group.N and weight.N may"
            };
            Problem::new(Some(Origin::line(path, entry.line)), Some(&entry.key), text)
        })
        .collect();
    if !strange.is_empty() {
        return Err(strange);
    }
    let mut members = parse(&lines(path, entries), multi_address)?;
    members.version = version_in_name(path).unwrap_or(0);
    Ok(members)
}

/// Reads the file of a reconfiguration that has not been committed. Java skips foreign keys here.
pub(super) fn read_next_file(path: &Path, multi_address: bool) -> Result<EnsembleConfig, Vec<Problem>> {
    parse(&lines(path, read_entries(path)?), multi_address)
}

fn read_entries(path: &Path) -> Result<Vec<Entry>, Vec<Problem>> {
    let problem = |origin, text: String| vec![Problem::new(Some(origin), None, text)];
    let bytes = std::fs::read(path).map_err(|error| problem(Origin::file(path), format!("cannot be read: {error}")))?;
    properties::parse_latin1(&bytes).map_err(|bad| problem(Origin::line(path, bad.line), bad.to_string()))
}

/// The last of two equal keys counts, as in any properties file.
fn lines(path: &Path, entries: Vec<Entry>) -> Vec<MemberLine> {
    let mut by_key = BTreeMap::new();
    for entry in entries {
        let origin = Origin::line(path, entry.line);
        by_key.insert(entry.key.clone(), MemberLine { key: entry.key, value: entry.value, origin });
    }
    by_key.into_values().collect()
}

/// `zoo.cfg.dynamic.100000000` has version 0x100000000; any other end means none.
fn version_in_name(path: &Path) -> Option<i64> {
    let (_, end) = path.to_str()?.rsplit_once('.')?;
    i64::from_str_radix(end, 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_line() {
        let line = |number, key: &str, value: &str| MemberLine {
            key: key.to_owned(),
            value: value.to_owned(),
            origin: Origin::line(Path::new("zoo.cfg"), number),
        };
        let lines = [line(2, "server.1", "a:1:2"), line(3, "server.2", "b:1"), line(5, "weight.1", "x")];
        let told: Vec<_> = parse(&lines, false).unwrap_err().iter().map(ToString::to_string).collect();
        let [port, weight] = &told[..] else { panic!("{told:?}") };
        assert!(port.starts_with("zoo.cfg:3: server.2: \"b:1\" is not host:port:port"), "{port}");
        assert_eq!(weight, "zoo.cfg:5: weight.1: \"x\" is not a whole number, without white space");
        let lines = [line(2, "server.1", "a:1:2"), line(7, "group.1", "1:2")];
        let told: Vec<_> = parse(&lines, false).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(told, ["zoo.cfg:7: group.1: names server 2, which is no participant of this ensemble"]);
    }

    #[test]
    fn version_of_a_dynamic_file() {
        for (name, want) in [
            ("zoo.cfg.dynamic.100000000", Some(0x1_0000_0000)),
            ("zoo.cfg.dynamic", None),
            ("zoo.beef", Some(0xbeef)),
            ("zoo", None),
        ] {
            assert_eq!(version_in_name(Path::new(name)), want, "{name}");
        }
    }
}
