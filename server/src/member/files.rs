//! The lists of members beside zoo.cfg, as Java's servers write them (`QuorumPeerConfig#writeDynamicConfig`,
//! `#editStaticConfig`).
//!
//! ```text
//!   zoo.cfg.dynamic.next        proposed, perhaps never committed; with its version
//!   zoo.cfg.dynamic.100000004   in force since the transaction of this number
//!   zoo.cfg                     names it in dynamicConfigFile, and has no list of its own any more
//!   zoo.cfg.bak                 zoo.cfg as it was at the last start that found a list in it
//! ```

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rookeeper_core::ensemble::Activation;
use rookeeper_protocol::properties::{self, Entry};
use rookeeper_storage::{Result, StorageError};

/// The files of one member. A server without a zoo.cfg has none.
#[derive(Debug, Clone)]
pub(crate) struct MemberFiles {
    config: Option<PathBuf>,
    my_key: String,
}

impl MemberFiles {
    /// `my_key` is `server.N` of this server.
    pub(crate) fn new(config: Option<PathBuf>, my_key: String) -> Self {
        Self { config, my_key }
    }

    /// Keeps a copy of a zoo.cfg that has a list of members, since it may be changed.
    pub(crate) fn back_up(&self) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        let copied = std::fs::read(config).and_then(|text| replace(&with_suffix(config, ".bak"), &text));
        copied.map_err(failed("keep a copy of", config))
    }

    /// A list was proposed.
    pub(crate) fn keep_next(&self, text: &str) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        let next = with_suffix(config, ".dynamic.next");
        replace(&next, lines(text, true).as_bytes()).map_err(failed("write", &next))
    }

    /// A list is in force.
    pub(crate) fn keep(&self, text: &str, activation: &Activation) -> Result<()> {
        let Some(config) = &self.config else { return Ok(()) };
        let dynamic = with_suffix(config, &format!(".dynamic.{}", version(text)));
        replace(&dynamic, lines(text, false).as_bytes())
            .and_then(|()| self.point_at(config, &std::fs::canonicalize(&dynamic)?, text))
            .map_err(failed("write", &dynamic))?;
        if activation.nothing_pending {
            let next = with_suffix(config, ".dynamic.next");
            match std::fs::remove_file(&next) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &next)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes zoo.cfg anew: without a list of members, with the name of the file that has it.
    fn point_at(&self, config: &Path, dynamic: &Path, list: &str) -> io::Result<()> {
        let bytes = std::fs::read(config)?;
        let entries = properties::parse_latin1(&bytes).map_err(io::Error::other)?;
        let own_client = entry_of(list, &self.my_key).is_some_and(|value| value.contains(';'));
        let last: BTreeMap<String, String> = entries.into_iter().map(|Entry { key, value, .. }| (key, value)).collect();
        let mut text = String::new();
        for (key, value) in &last {
            let key = key.trim();
            let is_of_members = ["server.", "group", "weight", "dynamicConfigFile", "peerType"];
            let moved = is_of_members.iter().any(|prefix| key.starts_with(prefix));
            if moved || (own_client && key.starts_with("clientPort") && key != "clientPortListenBacklog") {
                continue;
            }
            text.push_str(&format!("{key}={}\n", properties::escape(value.trim())));
        }
        text.push_str(&format!("dynamicConfigFile={}\n", properties::escape(&dynamic.display().to_string())));
        replace(config, text.as_bytes())
    }
}

/// The lines of a list in Java's order, without an end of the last one.
fn lines(text: &str, with_version: bool) -> String {
    let mut lines: Vec<_> = text.lines().filter(|line| with_version || !line.starts_with("version")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn entry_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn version(text: &str) -> &str {
    entry_of(text, "version").unwrap_or("0")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Replaces a file in one step: a crash leaves the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = with_suffix(path, ".tmp");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(parent) if parent != Path::new("") => std::fs::File::open(parent)?.sync_all(),
        _ => std::fs::File::open(".")?.sync_all(),
    }
}

/// A list that cannot be written stops the server, as any other write does. Java goes on, and may start with the old list
/// after the others have agreed on the new one.
fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    let path = path.to_owned();
    move |source| StorageError::Io { action, path, source: Arc::new(source) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LIST: &str = "server.10=c:1:2:participant;2183\nserver.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2:observer\nversion=100000004";

    fn activation(nothing_pending: bool) -> Activation {
        Activation {
            members_changed: true,
            nothing_pending,
            role_changed: false,
            leader_changed: false,
            client_address: None,
        }
    }

    #[test]
    fn a_list_in_force_leaves_zoo_cfg() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("zoo.cfg");
        let text = "tickTime=2000\nserver.1=a:1:2\nserver.2=b:1:2\nclientPort=2181\nclientPortListenBacklog=9\n\
                    peerType=participant\nx=a\\\\b\nweight.1=1\n";
        std::fs::write(&config, text).unwrap();
        let files = MemberFiles::new(Some(config.clone()), "server.1".to_owned());
        files.back_up().unwrap();
        files.keep_next(LIST).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name));
        assert_eq!(read("zoo.cfg.dynamic.next").unwrap(), LIST);
        files.keep(LIST, &activation(true)).unwrap();
        assert_eq!(read("zoo.cfg.bak").unwrap(), text);
        assert_eq!(read("zoo.cfg.dynamic.next").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(read("zoo.cfg.dynamic.100000004").unwrap(), LIST.rsplit_once('\n').unwrap().0);
        let dynamic = std::fs::canonicalize(dir.path().join("zoo.cfg.dynamic.100000004")).unwrap();
        let expected =
            format!("clientPortListenBacklog=9\ntickTime=2000\nx=a\\\\b\ndynamicConfigFile={}\n", dynamic.display());
        assert_eq!(read("zoo.cfg").unwrap(), expected);
    }

    #[test]
    fn a_client_port_that_no_list_has_stays() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("zoo.cfg");
        std::fs::write(&config, "clientPort=2181\n").unwrap();
        MemberFiles::new(Some(config.clone()), "server.2".to_owned()).keep(LIST, &activation(false)).unwrap();
        assert!(std::fs::read_to_string(&config).unwrap().starts_with("clientPort=2181\ndynamicConfigFile="));
    }

    #[test]
    fn a_server_without_a_file_writes_none() {
        let files = MemberFiles::new(None, "server.1".to_owned());
        files.keep_next(LIST).unwrap();
        files.keep(LIST, &activation(true)).unwrap();
    }
}
