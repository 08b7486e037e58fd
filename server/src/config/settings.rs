//! All that was set, by the names that Java would know it under: zoo.cfg's own keys, and the
//! properties of the JVM, to which zoo.cfg adds every key that it does not know itself.

use std::collections::BTreeMap;
use std::path::Path;

use rookeeper_protocol::properties::Entry;

use super::error::{ConfigNote, NoteLevel, Origin, Problem};
use super::jvm_flags::JvmFlags;
use super::keys::{self, Key, Place, Status, Verdict};
use super::value;

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The name as its author wrote it.
    pub(super) written: String,
    /// The value as the file or the JVM holds it.
    pub(super) raw: String,
    /// The value as Java reads it: zoo.cfg's are trimmed, `-D`'s are not.
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// What was set, what is to be said about it, and what stops the start.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Keys of zoo.cfg itself, by name.
    file: BTreeMap<String, Setting>,
    /// Properties of the JVM, by full name.
    properties: BTreeMap<String, Setting>,
    /// Words for the JVM that are no properties of ZooKeeper.
    jvm_words: Vec<String>,
    pub(super) notes: Vec<ConfigNote>,
    pub(super) problems: Vec<Problem>,
}

impl Settings {
    /// Starts with the options of the JVM, which zoo.cfg then overrides: Java calls
    /// `System.setProperty` when it reads the file.
    pub(super) fn new(flags: &JvmFlags) -> Self {
        let mut settings = Self { jvm_words: flags.other_words.clone(), ..Self::default() };
        for property in &flags.properties {
            if !property.name.starts_with("zookeeper.") && keys::of_property(&property.name).is_none() {
                settings.jvm_words.push(format!("-D{}", property.name));
                continue;
            }
            let setting = Setting {
                written: property.name.clone(),
                raw: property.value.clone(),
                value: property.value.clone(),
                origin: property.origin.clone(),
            };
            if let Some(earlier) = settings.properties.insert(property.name.clone(), setting) {
                settings.tell_overridden(&earlier, &property.origin);
            }
        }
        settings
    }

    /// Takes the entries of zoo.cfg.
    pub(super) fn add_file(&mut self, path: &Path, entries: Vec<Entry>) {
        for entry in entries {
            let name = value::trim(&entry.key).to_owned();
            let setting = Setting {
                written: name.clone(),
                value: value::trim(&entry.value).to_owned(),
                raw: entry.value,
                origin: Origin::line(path, entry.line),
            };
            let origin = setting.origin.clone();
            let earlier = if keys::of_file(&name).is_some() {
                self.file.insert(name, setting)
            } else {
                self.properties.insert(format!("zookeeper.{name}"), setting)
            };
            if let Some(earlier) = earlier {
                self.tell_overridden(&earlier, &origin);
            }
        }
    }

    fn tell_overridden(&mut self, earlier: &Setting, later: &Origin) {
        self.warn(earlier, format!("overridden by {later}"));
    }

    pub(super) fn warn(&mut self, setting: &Setting, text: String) {
        self.notes.push(ConfigNote {
            level: NoteLevel::Warn,
            origin: Some(setting.origin.clone()),
            key: Some(setting.written.clone()),
            text,
        });
    }

    pub(super) fn refuse(&mut self, setting: &Setting, text: impl Into<String>) {
        self.problems.push(Problem::new(Some(setting.origin.clone()), Some(&setting.written), text));
    }

    /// All settings of zoo.cfg's own keys, by name.
    pub(super) fn file_settings(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.file.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// All properties that begin with `prefix`, by full name.
    pub(super) fn properties_under(&self, prefix: &str) -> Vec<(String, Setting)> {
        self.properties
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, setting)| (name.clone(), setting.clone()))
            .collect()
    }

    /// The setting that Java would read for a key; of the two names that some keys have, the one
    /// that it looks at first.
    pub(super) fn find(&self, key: &Key) -> Option<&Setting> {
        let prefixed = || self.properties.get(&format!("zookeeper.{}", key.name));
        let bare = || self.properties.get(key.name);
        match key.place {
            Place::File => self.file.get(key.name),
            Place::Property => prefixed(),
            Place::PropertyOrBare => prefixed().or_else(bare),
            Place::Bare => bare().or_else(prefixed),
        }
    }

    /// Looks at every setting once: is the key known, is the value allowed, does it do anything
    /// here? Fills `notes` and `problems`.
    pub(super) fn screen(&mut self) {
        let in_file = self.file.iter().map(|(name, setting)| (keys::of_file(name), setting.clone()));
        let as_property = self.properties.iter().map(|(name, setting)| (keys::of_property(name), setting.clone()));
        let mut all: Vec<_> = in_file.chain(as_property).collect();
        all.sort_by(|(_, a), (_, b)| (&a.origin, &a.written).cmp(&(&b.origin, &b.written)));
        for (key, setting) in all {
            match key {
                Some(key) => self.screen_known(key, &setting),
                None => self.warn(&setting, unknown(&setting)),
            }
        }
        if !self.jvm_words.is_empty() {
            self.notes.push(ConfigNote {
                level: NoteLevel::Info,
                origin: None,
                key: None,
                text: format!("these options are for a JVM and mean nothing here: {}", self.jvm_words.join(" ")),
            });
        }
    }

    fn screen_known(&mut self, key: &'static Key, setting: &Setting) {
        let shown = key.show(&setting.value).to_owned();
        if let Some(read) = self.find(key).filter(|read| key.place == Place::Bare && *read != setting) {
            let text = format!("not used, since {} sets {}", read.origin, read.written);
            return self.warn(setting, text);
        }
        let asks_for_nothing = |unless: &[&str]| unless.contains(&setting.value.to_ascii_lowercase().as_str());
        match key.status {
            Status::Refused { unless, why } if !asks_for_nothing(unless) => {
                return self.refuse(setting, format!("{shown:?} is not supported: {why}"));
            }
            Status::Warned { unless, .. } if asks_for_nothing(unless) => return,
            _ => {}
        }
        match key.kind.judge(&setting.value) {
            Verdict::Fine => {}
            Verdict::Wrong => {
                let text = format!("{shown:?} is not allowed; it must be {}", key.kind.allowed());
                return self.refuse(setting, text);
            }
            Verdict::Replaced => {
                let instead = match key.kind.replacement(key.default) {
                    "" => "as if it were absent".to_owned(),
                    instead => format!("as {instead}"),
                };
                let text = format!(
                    "{shown:?} is not allowed; it must be {}. It is taken {instead}, as Apache ZooKeeper does",
                    key.kind.allowed()
                );
                self.warn(setting, text);
            }
        }
        if let Status::Warned { why, .. } = key.status {
            self.warn(setting, format!("{shown:?} has no effect: {why}"));
        }
    }
}

/// What to say about a name that no server of Apache ZooKeeper reads. Java takes it silently.
fn unknown(setting: &Setting) -> String {
    let plain = setting.written.strip_prefix("zookeeper.").unwrap_or(&setting.written);
    let in_file = !matches!(setting.origin, Origin::JvmFlags { .. });
    let near = keys::all().find(|key| key.name.eq_ignore_ascii_case(plain));
    let hint = match near {
        Some(key) if key.place == Place::File && !in_file => {
            format!("; write {} in zoo.cfg instead", key.name)
        }
        Some(key) if in_file => format!("; is {} meant?", key.name),
        Some(key) => format!("; is zookeeper.{} meant?", key.name),
        None => String::new(),
    };
    format!("no such key, so it has no effect, as in Apache ZooKeeper{hint}")
}
