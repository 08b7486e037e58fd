//! The JVM options that Java's start script takes from the environment. Only their properties
//! mean anything here.

use super::error::Origin;

/// The variables in the order in which `zkServer.sh` puts them on the command line of the JVM,
/// where of two equal options the later one counts.
const VARIABLES: [&str; 2] = ["SERVER_JVMFLAGS", "JVMFLAGS"];

/// The options of both variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JvmFlags {
    pub(super) properties: Vec<Property>,
    pub(super) other_words: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

impl JvmFlags {
    /// Reads `SERVER_JVMFLAGS` and `JVMFLAGS` of this process.
    pub fn from_env() -> Self {
        Self::read(|variable| std::env::var_os(variable).map(|text| text.to_string_lossy().into_owned()))
    }

    /// As [`JvmFlags::from_env`], from any other source of variables.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Self {
        let mut flags = Self::default();
        for name in VARIABLES {
            flags.add(name, &variable(name).unwrap_or_default());
        }
        flags
    }

    /// The script leaves the splitting to the shell, which knows no quotes inside a variable.
    fn add(&mut self, variable: &'static str, text: &str) {
        for word in text.split_ascii_whitespace() {
            let Some(definition) = word.strip_prefix("-D").filter(|rest| !rest.is_empty()) else {
                self.other_words.push(word.to_owned());
                continue;
            };
            let (name, value) = definition.split_once('=').unwrap_or((definition, ""));
            self.properties.push(Property {
                name: name.to_owned(),
                value: value.to_owned(),
                origin: Origin::JvmFlags { variable },
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_and_other_words() {
        let flags = JvmFlags::read(|name| match name {
            "SERVER_JVMFLAGS" => Some("-Xmx1g\n-Dzookeeper.snapCount=5  -Da".to_owned()),
            _ => Some(" -Dx==y -ea -D".to_owned()),
        });
        let properties: Vec<_> =
            flags.properties.iter().map(|p| (p.name.as_str(), p.value.as_str(), p.origin.to_string())).collect();
        assert_eq!(
            properties,
            [
                ("zookeeper.snapCount", "5", "environment variable SERVER_JVMFLAGS".to_owned()),
                ("a", "", "environment variable SERVER_JVMFLAGS".to_owned()),
                ("x", "=y", "environment variable JVMFLAGS".to_owned()),
            ]
        );
        assert_eq!(flags.other_words, ["-Xmx1g", "-ea", "-D"]);
    }
}
