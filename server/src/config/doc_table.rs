//! The table of all keys in COMPATIBILITY.md, written from `keys.rs` so that the two cannot part.

use std::fmt::Write;

use super::keys::{GROUPS, Key, Place, Status};

/// Stands before the table in the document.
pub const BEGIN: &str = "<!-- configuration keys: begin (written by the tests of server/src/config) -->";
/// Stands behind it.
pub const END: &str = "<!-- configuration keys: end -->";

/// The table as Markdown, between the two markers, which are not part of it.
pub fn render() -> String {
    let mut text = String::new();
    for group in GROUPS {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n### {}\n", group.title);
        let _ = writeln!(text, "| Key | Value | Default | What it is for | Here |");
        let _ = writeln!(text, "|---|---|---|---|---|");
        for key in group.keys {
            let _ = writeln!(text, "{}", row(key));
        }
    }
    text
}

fn row(key: &Key) -> String {
    let place = match key.place {
        Place::File | Place::Property => "",
        Place::PropertyOrBare => " (`-D` also without prefix)",
        Place::Bare => " (`-D` without prefix)",
    };
    let default = match key.default {
        "" => String::new(),
        default => {
            format!("`{}`", default.rsplit('.').next().filter(|_| default.starts_with("org.")).unwrap_or(default))
        }
    };
    format!(
        "| `{}`{place} | {} | {default} | {} | {} |",
        key.name,
        escape(&key.kind.name()),
        escape(key.about),
        escape(&status(key.status))
    )
}

/// What the last column says.
pub fn status(status: Status) -> String {
    let except = |unless: &[&str]| match unless {
        [] | [""] => String::new(),
        words => {
            let words: Vec<_> = words.iter().map(|word| word.rsplit('.').next().unwrap_or(word)).collect();
            format!(" unless {}", words.join(" or "))
        }
    };
    match status {
        Status::Honoured => "**honoured**".to_owned(),
        Status::Accepted(why) => format!("**accepted**: {why}"),
        Status::Warned { unless, why } => format!("**warned**{}: {why}", except(unless)),
        Status::Refused { unless, why } => format!("**refused**{}: {why}", except(unless)),
    }
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}
