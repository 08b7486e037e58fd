//! Bodies of requests, also such as no client would send.

use rookeeper_protocol::types::Perms;

/// A string field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Length -1.
    Null,
    /// These bytes, UTF-8 or not.
    Bytes(Vec<u8>),
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
        }
    }
}

/// A buffer field; `None` is null.
pub type Data<'a> = Option<&'a [u8]>;

/// An access control list field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acls {
    /// Length -1.
    Null,
    /// These entries: permissions, scheme, id.
    List(Vec<(i32, Text, Text)>),
}

impl Acls {
    /// Everything for everyone.
    pub fn open() -> Self {
        Self::one(Perms::ALL, "world", "anyone")
    }

    /// No entry at all.
    pub fn empty() -> Self {
        Self::List(Vec::new())
    }

    /// A single entry.
    pub fn one(perms: i32, scheme: &str, id: &str) -> Self {
        Self::list(&[(perms, scheme, id)])
    }

    /// These entries.
    pub fn list(entries: &[(i32, &str, &str)]) -> Self {
        Self::List(entries.iter().map(|(perms, scheme, id)| (*perms, (*scheme).into(), (*id).into())).collect())
    }
}

impl std::fmt::Display for Acls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::List(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(perms, scheme, id)| format!("{perms} {scheme}:{id}")).collect();
                write!(f, "[{}]", entries.join(", "))
            }
        }
    }
}

/// A piece of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    /// A zxid counted from the script's first; known only when the script is played.
    Zxid(i64),
}

/// The bytes behind a request's header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body(Vec<Part>);

impl Body {
    /// An empty body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.push(Part::Bytes(bytes.to_vec()));
        self
    }

    /// Adds an int.
    #[must_use]
    pub fn int(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Adds a long.
    #[must_use]
    pub fn long(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    /// Adds a boolean.
    #[must_use]
    pub fn boolean(self, value: bool) -> Self {
        self.raw(&[value.into()])
    }

    /// Adds a zxid, counted from the last one before the script.
    #[must_use]
    pub fn zxid(mut self, relative: i64) -> Self {
        self.0.push(Part::Zxid(relative));
        self
    }

    /// Adds a buffer.
    #[must_use]
    pub fn buffer(self, data: Data<'_>) -> Self {
        match data {
            None => self.int(-1),
            Some(bytes) => self.int(i32::try_from(bytes.len()).unwrap_or(i32::MAX)).raw(bytes),
        }
    }

    /// Adds a string.
    #[must_use]
    pub fn text(self, text: impl Into<Text>) -> Self {
        match text.into() {
            Text::Null => self.buffer(None),
            Text::Bytes(bytes) => self.buffer(Some(&bytes)),
        }
    }

    /// Adds a vector of strings.
    #[must_use]
    pub fn texts<T: Clone + Into<Text>>(self, texts: &[T]) -> Self {
        let start = self.int(i32::try_from(texts.len()).unwrap_or(i32::MAX));
        texts.iter().fold(start, |body, text| body.text(text.clone()))
    }

    /// Adds an access control list.
    #[must_use]
    pub fn acls(self, acls: &Acls) -> Self {
        match acls {
            Acls::Null => self.int(-1),
            Acls::List(entries) => {
                let start = self.int(i32::try_from(entries.len()).unwrap_or(i32::MAX));
                entries.iter().fold(start, |body, (perms, scheme, id)| body.int(*perms).text(scheme).text(id))
            }
        }
    }

    /// Adds another body.
    #[must_use]
    pub fn body(mut self, other: Body) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The bytes, when the last zxid before the script was `base`.
    pub fn bytes(&self, base: i64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in &self.0 {
            match part {
                Part::Bytes(part) => bytes.extend_from_slice(part),
                Part::Zxid(relative) => bytes.extend_from_slice(&(base + relative).to_be_bytes()),
            }
        }
        bytes
    }
}
