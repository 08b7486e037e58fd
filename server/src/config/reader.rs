//! Typed reading of settings by the name of their key. Wrong texts have been told by the time
//! that a value is read, so reading falls back to the default without a word.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::keys::{self, Key, Kind, Verdict};
use super::settings::{Setting, Settings};
use super::value;

pub(super) struct Reader {
    pub(super) settings: Settings,
    /// Keys that were read, so that a test can hold them against those that claim to be honoured.
    read: RefCell<BTreeSet<&'static str>>,
}

impl Reader {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, read: RefCell::default() }
    }

    #[cfg(test)]
    pub(super) fn keys_read(&self) -> BTreeSet<&'static str> {
        self.read.borrow().clone()
    }

    /// # Panics
    /// If no list of `keys.rs` has the name: a slip in this module that any test finds.
    fn key(&self, name: &str) -> &'static Key {
        let key = keys::all().find(|key| key.name == name);
        let key = key.unwrap_or_else(|| panic!("no key is called {name}"));
        self.read.borrow_mut().insert(key.name);
        key
    }

    /// What was set, whether usable or not.
    pub(super) fn setting(&self, name: &str) -> Option<Setting> {
        self.settings.find(self.key(name)).cloned()
    }

    /// The usable text: what was set, else what Java takes instead.
    fn text_and_kind(&self, name: &str) -> (String, Kind) {
        let key = self.key(name);
        let text = match self.settings.find(key) {
            Some(setting) if key.kind.judge(&setting.value) == Verdict::Fine => setting.value.clone(),
            Some(_) => key.kind.replacement(key.default).to_owned(),
            None => key.default.to_owned(),
        };
        (text, key.kind)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.text_and_kind(name).0
    }

    /// A text, if it was set.
    pub(super) fn given(&self, name: &str) -> Option<String> {
        self.setting(name).map(|setting| setting.value)
    }

    pub(super) fn switch(&self, name: &str) -> bool {
        value::parse_switch(&self.text(name)).unwrap_or_default()
    }

    /// Whether the value is exactly this word.
    pub(super) fn is(&self, name: &str, word: &str) -> bool {
        self.text(name) == word
    }

    /// A number, or nothing where it was not set and has no default.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let (text, kind) = self.text_and_kind(name);
        match kind {
            Kind::Int | Kind::Long => value::decode_long(&text),
            _ => value::parse_long(&text),
        }
    }

    /// A 32-bit number with a default.
    pub(super) fn int(&self, name: &str) -> i32 {
        self.number(name).and_then(|number| i32::try_from(number).ok()).unwrap_or_default()
    }

    /// A number that means nothing when it is not above 0.
    pub(super) fn positive(&self, name: &str) -> Option<u32> {
        u32::try_from(self.int(name)).ok().filter(|&number| number > 0)
    }

    pub(super) fn real(&self, name: &str) -> f64 {
        value::parse_real(&self.text(name)).unwrap_or_default()
    }

    /// Tells that a value is another one, as Java does.
    pub(super) fn warn(&mut self, name: &str, text: String) {
        if let Some(setting) = self.setting(name) {
            self.settings.warn(&setting, text);
        }
    }

    /// Stops the start because of a value; of a default that needs another key, without a place.
    pub(super) fn refuse(&mut self, name: &'static str, text: String) {
        match self.setting(name) {
            Some(setting) => self.settings.refuse(&setting, text),
            None => self.settings.problems.push(super::error::Problem::new(None, Some(name), text)),
        }
    }
}
