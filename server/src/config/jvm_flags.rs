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

/// With any text in it `zkServer.sh` puts a property in front of all others.
const NO_AUTOCREATE: (&str, &str) = ("ZOO_DATADIR_AUTOCREATE_DISABLE", "zookeeper.datadir.autocreate");

impl JvmFlags {
    /// Reads `SERVER_JVMFLAGS`, `JVMFLAGS` and `ZOO_DATADIR_AUTOCREATE_DISABLE` of this process.
    pub fn from_env() -> Self {
        Self::read(|variable| std::env::var_os(variable).map(|text| text.to_string_lossy().into_owned()))
    }

    /// As [`JvmFlags::from_env`], from any other source of variables.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Self {
        let mut flags = Self::default();
        let (name, property) = NO_AUTOCREATE;
        if variable(name).is_some_and(|text| !text.is_empty()) {
            flags.properties.push(Property {
                name: property.to_owned(),
                value: "false".to_owned(),
                origin: Origin::JvmFlags { variable: name },
            });
        }
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
            "JVMFLAGS" => Some(" -Dx==y -ea -D".to_owned()),
            _ => None,
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

    #[test]
    fn the_variable_of_the_start_script_counts_less_than_options() {
        let read = |text: &'static str| {
            JvmFlags::read(move |name| match name {
                "ZOO_DATADIR_AUTOCREATE_DISABLE" => Some(text.to_owned()),
                "JVMFLAGS" => Some("-Dzookeeper.datadir.autocreate=true".to_owned()),
                _ => None,
            })
        };
        let values = |flags: &JvmFlags| flags.properties.iter().map(|p| p.value.clone()).collect::<Vec<_>>();
        assert_eq!(values(&read("1")), ["false", "true"]);
        assert_eq!(values(&read("")), ["true"]);
        assert_eq!(read("1").properties[0].origin.to_string(), "environment variable ZOO_DATADIR_AUTOCREATE_DISABLE");
    }
}
