//! Every key that a server of Apache ZooKeeper 3.9.5 knows, each once: where Java reads it, how,
//! with which default, and what it does here. Parsing, start-up log and the table of
//! COMPATIBILITY.md all come from these lists.

mod ensemble;
mod file;
mod network;
mod security;
mod storage;

use super::value;

/// Where Java looks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Read from zoo.cfg itself (`QuorumPeerConfig.parseProperties`); a JVM property of this name
    /// means nothing.
    File,
    /// The JVM property `zookeeper.<name>`, which any other key of zoo.cfg becomes.
    Property,
    /// As [`Place::Property`], and the JVM property without the prefix where that one is absent.
    PropertyOrBare,
    /// A JVM property without the prefix. Java reads it from `-D` only; here zoo.cfg may name it
    /// too, and `-D` wins as it would in Java.
    Bare,
}

/// How Java turns the text into a value, and what it does with a text that it cannot use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `Integer.parseInt`; anything else stops the start.
    StrictInt,
    /// `Long.parseLong`; anything else stops the start.
    StrictLong,
    /// true or false in any case; anything else stops the start.
    StrictBool,
    /// `Double.parseDouble`; anything else stops the start.
    StrictReal,
    /// One of these words; anything else stops the start.
    OneOf(&'static [&'static str]),
    /// `Integer.getInteger`: decimal, hexadecimal or octal; anything else means the default.
    Int,
    /// `Long.getLong`: decimal, hexadecimal or octal; anything else means the default.
    Long,
    /// `Integer.parseInt`; anything else means the default.
    PlainInt,
    /// `Long.parseLong`; anything else means the default.
    PlainLong,
    /// `Double.parseDouble`; anything else means the default.
    Real,
    /// true in any case; anything else means false.
    Bool,
    /// Exactly the first word; anything else means the second.
    Exactly(&'static str, &'static str),
    /// A file or directory.
    Path,
    /// Any text, or one whose form is checked where it is used.
    Text,
    /// Words with commas between them.
    Words,
}

/// What a text is to a [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Java takes it as it is.
    Fine,
    /// Java takes something else without a word.
    Replaced,
    /// Java does not start.
    Wrong,
}

impl Kind {
    /// The texts that are allowed, for messages and for the table.
    pub fn allowed(self) -> String {
        match self {
            Self::StrictInt | Self::PlainInt | Self::Int => {
                format!("a whole number from {} to {}", i32::MIN, i32::MAX)
            }
            Self::StrictLong | Self::PlainLong | Self::Long => {
                format!("a whole number from {} to {}", i64::MIN, i64::MAX)
            }
            Self::StrictBool | Self::Bool => "true or false".to_owned(),
            Self::StrictReal | Self::Real => "a decimal number".to_owned(),
            Self::OneOf(words) => words.join(" or "),
            Self::Exactly(word, other) => format!("{word} or {other}"),
            Self::Path => "a path".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Words => "words with commas between them".to_owned(),
        }
    }

    /// One word for the table.
    pub fn name(self) -> String {
        match self {
            Self::StrictInt | Self::PlainInt | Self::Int => "int".to_owned(),
            Self::StrictLong | Self::PlainLong | Self::Long => "long".to_owned(),
            Self::StrictBool | Self::Bool => "true/false".to_owned(),
            Self::StrictReal | Self::Real => "number".to_owned(),
            Self::OneOf(words) => {
                words.iter().map(|word| word.rsplit('.').next().unwrap_or(word)).collect::<Vec<_>>().join("/")
            }
            Self::Exactly(word, other) => format!("{word}/{other}"),
            Self::Path => "path".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Words => "list".to_owned(),
        }
    }

    pub(super) fn judge(self, text: &str) -> Verdict {
        let strict = |fine| if fine { Verdict::Fine } else { Verdict::Wrong };
        let lenient = |fine| if fine { Verdict::Fine } else { Verdict::Replaced };
        match self {
            Self::StrictInt => strict(value::parse_int(text).is_some()),
            Self::StrictLong => strict(value::parse_long(text).is_some()),
            Self::StrictBool => strict(value::parse_switch(text).is_some()),
            Self::StrictReal => strict(value::parse_real(text).is_some()),
            Self::OneOf(words) => strict(words.contains(&text)),
            Self::Int => lenient(value::decode_int(text).is_some()),
            Self::Long => lenient(value::decode_long(text).is_some()),
            Self::PlainInt => lenient(value::parse_int(text).is_some()),
            Self::PlainLong => lenient(value::parse_long(text).is_some()),
            Self::Real => lenient(value::parse_real(text).is_some()),
            Self::Bool => lenient(value::parse_switch(text).is_some()),
            Self::Exactly(word, other) => lenient(text == word || text == other),
            Self::Path | Self::Text | Self::Words => Verdict::Fine,
        }
    }

    /// What Java goes on with after [`Verdict::Replaced`].
    pub(super) fn replacement(self, default: &'static str) -> &'static str {
        match self {
            Self::Bool => "false",
            Self::Exactly(_, other) => other,
            _ => default,
        }
    }
}

/// What a key does in this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does what it does in Java.
    Honoured,
    /// Read and checked; it changes nothing here that a client or an operator could see, so
    /// nothing is said about it.
    Accepted(&'static str),
    /// The server starts without what was asked for, and says so in one line.
    Warned {
        /// Values that ask for nothing, in any case; they are not mentioned.
        unless: &'static [&'static str],
        /// Why it is without effect.
        why: &'static str,
    },
    /// The server does not start: going on without what was asked for could cost data or open a
    /// door.
    Refused {
        /// Values that ask for nothing, in any case; they are let through.
        unless: &'static [&'static str],
        /// What is missing and what to do.
        why: &'static str,
    },
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// As zoo.cfg writes it. A name that ends in `*` or `N` stands for every key that begins so.
    pub name: &'static str,
    /// Where Java reads it.
    pub place: Place,
    /// How Java reads it.
    pub kind: Kind,
    /// Java's default as it would be written; empty where there is none.
    pub default: &'static str,
    /// What it is for, with its unit.
    pub about: &'static str,
    /// What it does here.
    pub status: Status,
    /// Its value must not be shown.
    pub secret: bool,
}

impl Key {
    /// What all keys of a family begin with; nothing for a single key.
    fn family(&self) -> Option<&'static str> {
        match self.name {
            // Java looks at these without the dot, and then stops at a missing number.
            "group.N" => Some("group"),
            "weight.N" => Some("weight"),
            name => name.strip_suffix(['*', 'N']),
        }
    }

    fn is_called(&self, name: &str) -> bool {
        match self.family() {
            Some(prefix) => name.starts_with(prefix),
            None => name == self.name,
        }
    }

    /// The value as a message may show it.
    pub(super) fn show<'a>(&self, text: &'a str) -> &'a str {
        if self.secret { "(not shown)" } else { text }
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }
}

/// All keys, group by group.
pub fn all() -> impl Iterator<Item = &'static Key> {
    GROUPS.iter().flat_map(|group| group.keys)
}

/// A group of keys under one heading of the table.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// The groups in the order of the table.
pub static GROUPS: &[Group] = &[
    Group { title: "Keys of zoo.cfg", keys: file::KEYS },
    Group { title: "Storage and request pipeline", keys: storage::KEYS },
    Group { title: "Client connections and operations", keys: network::KEYS },
    Group { title: "Security", keys: security::KEYS },
    Group { title: "Ensemble", keys: ensemble::KEYS },
    Group { title: "Properties without the prefix", keys: network::BARE_KEYS },
];

/// The key that zoo.cfg itself means by `name`, properties left aside.
pub(super) fn of_file(name: &str) -> Option<&'static Key> {
    closest(|key| key.place == Place::File && key.is_called(name))
}

/// The key that the JVM property `name` means.
pub(super) fn of_property(name: &str) -> Option<&'static Key> {
    let prefixed = name.strip_prefix("zookeeper.");
    closest(|key| match key.place {
        Place::File => false,
        Place::Property => prefixed.is_some_and(|name| key.is_called(name)),
        Place::PropertyOrBare | Place::Bare => prefixed.is_some_and(|name| key.is_called(name)) || key.is_called(name),
    })
}

/// A single key goes before the family that it belongs to, a longer family before a shorter one.
fn closest(matches: impl Fn(&Key) -> bool) -> Option<&'static Key> {
    all().filter(|key| matches(key)).max_by_key(|key| key.family().map_or(usize::MAX, str::len))
}

const fn key(
    place: Place,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
    status: Status,
) -> Key {
    Key { name, place, kind, default, about, status, secret: false }
}

const fn warned(why: &'static str) -> Status {
    Status::Warned { unless: &[], why }
}

const fn warned_unless(unless: &'static [&'static str], why: &'static str) -> Status {
    Status::Warned { unless, why }
}

const fn refused(why: &'static str) -> Status {
    Status::Refused { unless: &[], why }
}

const fn refused_unless(unless: &'static [&'static str], why: &'static str) -> Status {
    Status::Refused { unless, why }
}

const PURGED: Status =
    Status::Accepted("there is one image, and segments of the log go by themselves once the image has what is in them");

const CLIENT_LIBRARY: Status =
    Status::Accepted("read by the client library only, in Java too; a server has no use for it");

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_stands_once() {
        let mut seen = BTreeSet::new();
        for key in all() {
            assert!(seen.insert(key.name), "{} stands twice", key.name);
        }
        assert!(seen.len() > 200, "{} keys", seen.len());
    }

    #[test]
    fn defaults_are_values() {
        for key in all().filter(|key| !key.default.is_empty()) {
            assert_eq!(key.kind.judge(key.default), Verdict::Fine, "{}", key.name);
        }
    }

    #[test]
    fn words_that_ask_for_nothing_are_lower_case() {
        for key in all() {
            if let Status::Warned { unless, .. } | Status::Refused { unless, .. } = key.status {
                for word in unless {
                    assert_eq!(word.to_ascii_lowercase(), **word, "{}", key.name);
                }
            }
        }
    }

    #[test]
    fn names_are_found_where_java_looks() {
        assert_eq!(of_file("server.12").map(|key| key.name), Some("server.N"));
        assert_eq!(of_file("snapCount"), None);
        let name = |property| of_property(property).map(|key| key.name);
        assert_eq!(name("zookeeper.snapCount"), Some("snapCount"));
        assert_eq!(name("snapCount"), None);
        assert_eq!(name("zookeeper.tickTime"), None);
        assert_eq!(name("jute.maxbuffer"), Some("jute.maxbuffer"));
        assert_eq!(name("zookeeper.jute.maxbuffer"), Some("jute.maxbuffer"));
        assert_eq!(name("zookeeper.jute.maxbuffer.extrasize"), Some("jute.maxbuffer.extrasize"));
        assert_eq!(name("fsync.warningthresholdms"), Some("fsync.warningthresholdms"));
        assert_eq!(name("zookeeper.ssl.quorum.crl"), Some("ssl.quorum.*"));
    }
}
