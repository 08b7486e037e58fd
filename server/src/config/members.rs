//! The servers of an ensemble, their groups and weights, from zoo.cfg or from a dynamic file
//! (`QuorumMaj`, `QuorumHierarchical`, `QuorumPeerConfig.parseDynamicConfig`).

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{Origin, Problem};
use super::properties::{self, Entry};
use super::server_spec::{Role, ServerSpec};
use super::value;

/// Who belongs to an ensemble.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// All servers by id.
    pub servers: BTreeMap<i64, ServerSpec>,
    /// Groups and weights, where votes are not simply counted.
    pub hierarchy: Option<Hierarchy>,
    /// The version of this list: the zxid of the reconfiguration that made it.
    pub version: i64,
}

/// Groups of voters, of which a majority of groups with a majority of weight each decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// The group of each server.
    pub group_of: BTreeMap<i64, i64>,
    /// The weight of each server's vote; every server that has a group has one.
    pub weight_of: BTreeMap<i64, i64>,
}

impl Members {
    /// Servers that vote.
    pub fn participants(&self) -> impl Iterator<Item = &ServerSpec> {
        self.servers.values().filter(|server| server.role == Role::Participant)
    }

    /// Servers that do not vote.
    pub fn observers(&self) -> impl Iterator<Item = &ServerSpec> {
        self.servers.values().filter(|server| server.role == Role::Observer)
    }
}

/// One `server.N`, `group.N`, `weight.N` or `version` with the place it was written at.
#[derive(Debug, Clone)]
pub(super) struct MemberLine {
    pub(super) key: String,
    /// Not trimmed: Java reads these values as they stand.
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// Reads the lines of a list of servers; other keys are skipped.
pub(super) fn parse(lines: &[MemberLine], multi_address: bool) -> Result<Members, Vec<Problem>> {
    let mut members = Members::default();
    let mut hierarchy = Hierarchy::default();
    let mut grouped = false;
    let mut problems = Vec::new();
    for line in lines {
        let taken = if let Some(id) = line.key.strip_prefix("server.") {
            take_server(&mut members, id, &line.value, multi_address)
        } else if line.key.starts_with("group") {
            grouped = true;
            take_group(&mut hierarchy, &line.key, &line.value)
        } else if line.key.starts_with("weight") {
            grouped = true;
            take_weight(&mut hierarchy, &line.key, &line.value)
        } else if line.key == "version" {
            take_version(&mut members, &line.value)
        } else {
            Ok(())
        };
        if let Err(text) = taken {
            problems.push(Problem::new(Some(line.origin.clone()), Some(&line.key), text));
        }
    }
    if grouped && problems.is_empty() {
        problems.extend(complete(&members, &mut hierarchy, lines));
        members.hierarchy = Some(hierarchy);
    }
    if problems.is_empty() { Ok(members) } else { Err(problems) }
}

fn take_server(members: &mut Members, id: &str, text: &str, multi_address: bool) -> Result<(), String> {
    let id = number(id)?;
    let server = ServerSpec::parse(id, text, multi_address)?;
    match members.servers.insert(id, server) {
        None => Ok(()),
        Some(_) => Err(format!("server {id} is given twice")),
    }
}

fn take_group(hierarchy: &mut Hierarchy, key: &str, text: &str) -> Result<(), String> {
    let group = number_of(key)?;
    let text = text.trim_end_matches(':');
    for id in text.split(':') {
        let id = number(id)?;
        if let Some(other) = hierarchy.group_of.insert(id, group) {
            return Err(format!("server {id} is in group {other} and in group {group}; it can be in one only"));
        }
    }
    Ok(())
}

fn take_weight(hierarchy: &mut Hierarchy, key: &str, text: &str) -> Result<(), String> {
    hierarchy.weight_of.insert(number_of(key)?, number(text)?);
    Ok(())
}

fn take_version(members: &mut Members, text: &str) -> Result<(), String> {
    members.version = i64::from_str_radix(text, 16)
        .map_err(|_| format!("{text:?} is not allowed; it must be a hexadecimal number"))?;
    Ok(())
}

/// Every voter needs a group; a vote without a weight counts once; a group may name voters only.
fn complete(members: &Members, hierarchy: &mut Hierarchy, lines: &[MemberLine]) -> Vec<Problem> {
    let origin =
        |wanted: &dyn Fn(&MemberLine) -> bool| lines.iter().find(|line| wanted(line)).map(|l| l.origin.clone());
    let mut problems = Vec::new();
    for server in members.participants() {
        let key = format!("server.{}", server.id);
        if !hierarchy.group_of.contains_key(&server.id) {
            let origin = origin(&|line| line.key == key);
            problems.push(Problem::new(origin, Some(&key), "is in no group although groups are given; name it in one"));
        }
        hierarchy.weight_of.entry(server.id).or_insert(1);
    }
    for (id, group) in &hierarchy.group_of {
        if !hierarchy.weight_of.contains_key(id) {
            let origin = origin(&|line| line.key.starts_with("group"));
            let text = format!("names server {id}, which is no participant of this ensemble");
            problems.push(Problem::new(origin, Some(&format!("group.{group}")), text));
        }
    }
    problems
}

/// The number behind the first dot of a key; without a dot Java takes the whole key.
fn number_of(key: &str) -> Result<i64, String> {
    number(key.split_once('.').map_or(key, |(_, number)| number))
}

fn number(text: &str) -> Result<i64, String> {
    value::parse_long(text).ok_or_else(|| format!("{text:?} is not a whole number, without white space"))
}

/// Reads a file that holds a list of servers and nothing else.
pub(super) fn read_dynamic_file(path: &Path, multi_address: bool) -> Result<Members, Vec<Problem>> {
    let entries = read_entries(path)?;
    let known = |key: &str| key.starts_with("server.") || key.starts_with("group") || key.starts_with("weight");
    let strange: Vec<_> = entries
        .iter()
        .filter(|entry| !known(value::trim(&entry.key)))
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
pub(super) fn read_next_file(path: &Path, multi_address: bool) -> Result<Members, Vec<Problem>> {
    parse(&lines(path, read_entries(path)?), multi_address)
}

fn read_entries(path: &Path) -> Result<Vec<Entry>, Vec<Problem>> {
    let problem = |origin, text: String| vec![Problem::new(Some(origin), None, text)];
    let bytes = std::fs::read(path).map_err(|error| problem(Origin::file(path), format!("cannot be read: {error}")))?;
    properties::parse(&bytes).map_err(|bad| problem(Origin::line(path, bad.line), BAD_ESCAPE.to_owned()))
}

pub(super) const BAD_ESCAPE: &str =
    "\\u must be followed by four hexadecimal digits; a backslash itself is written \\\\";

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

    fn read(lines: &[(&str, &str)]) -> Result<Members, Vec<String>> {
        let lines: Vec<_> = lines
            .iter()
            .enumerate()
            .map(|(at, (key, value))| MemberLine {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
                origin: Origin::line(Path::new("zoo.cfg"), at + 1),
            })
            .collect();
        parse(&lines, false).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn counts_voters_and_observers() {
        let members =
            read(&[("server.1", "a:1:2"), ("server.2", "b:1:2:observer"), ("version", "1f"), ("dataDir", "/x")])
                .unwrap();
        assert_eq!(members.participants().map(|s| s.id).collect::<Vec<_>>(), [1]);
        assert_eq!(members.observers().map(|s| s.id).collect::<Vec<_>>(), [2]);
        assert_eq!((members.version, members.hierarchy), (0x1f, None));
    }

    #[test]
    fn groups_and_weights() {
        let hierarchy = read(&[("server.1", "a:1:2"), ("server.2", "b:1:2"), ("group.7", "1:2:"), ("weight.2", "3")])
            .unwrap()
            .hierarchy
            .unwrap();
        assert_eq!(hierarchy.group_of, BTreeMap::from([(1, 7), (2, 7)]));
        assert_eq!(hierarchy.weight_of, BTreeMap::from([(1, 1), (2, 3)]));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (lines, want) in [
            (&[("server.x", "a:1:2")][..], "zoo.cfg:1: server.x: \"x\" is not a whole number, without white space"),
            (&[("server.1", "a:1:2"), ("server.01", "b:1:2")], "zoo.cfg:2: server.01: server 1 is given twice"),
            (
                &[("server.1", "a:1:2"), ("group.1", "2"), ("weight.2", "1")],
                "zoo.cfg:1: server.1: is in no group although groups are given; name it in one",
            ),
            (
                &[("server.1", "a:1:2"), ("group.1", "1:2")],
                "zoo.cfg:2: group.1: names server 2, which is no participant of this ensemble",
            ),
            (
                &[("group.1", "1"), ("group.2", "1")],
                "zoo.cfg:2: group.2: server 1 is in group 1 and in group 2; it can be in one only",
            ),
            (&[("groups", "1")], "zoo.cfg:1: groups: \"groups\" is not a whole number, without white space"),
            (&[("version", "x")], "zoo.cfg:1: version: \"x\" is not allowed; it must be a hexadecimal number"),
        ] {
            assert_eq!(read(lines), Err(vec![want.to_owned()]), "{lines:?}");
        }
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
