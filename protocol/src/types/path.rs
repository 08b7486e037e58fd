//! Which paths are legal (`PathUtils#validatePath`).

use thiserror::Error;

/// Why a path is not legal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PathError {
    /// No characters at all.
    #[error("path is empty")]
    Empty,
    /// Does not begin with a slash.
    #[error("path must start with / character")]
    NotAbsolute,
    /// Ends with a slash.
    #[error("path must not end with / character")]
    TrailingSlash,
    /// Two slashes side by side.
    #[error("empty node name at {0}")]
    EmptyName(usize),
    /// A name that is `.` or `..`.
    #[error("relative paths are not allowed at {0}")]
    Relative(usize),
    /// A character that paths must not hold.
    #[error("invalid character at {0}")]
    InvalidCharacter(usize),
}

/// Checks a path as Java does. Offsets in errors are bytes.
///
/// Java looks at UTF-16 units, so that everything outside the basic plane is refused with the surrogates.
pub fn validate_path(path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if path.len() == 1 {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    if is_plain(path) { Ok(()) } else { validate_names(path) }
}

/// Whether a path has no letter but ASCII, and nothing that might make a name illegal: what nearly all paths are
/// like, seen in one pass.
fn is_plain(path: &str) -> bool {
    let mut previous = b'/';
    path.bytes().skip(1).all(|byte| {
        let follows_slash = previous == b'/';
        previous = byte;
        (b' '..0x7F).contains(&byte) && !(follows_slash && (byte == b'.' || byte == b'/'))
    })
}

fn validate_names(path: &str) -> Result<(), PathError> {
    let mut name_start = 1;
    for (offset, character) in path.char_indices().skip(1).chain([(path.len(), '/')]) {
        match character {
            '/' => {
                match &path[name_start..offset] {
                    "" => return Err(PathError::EmptyName(offset)),
                    "." | ".." => return Err(PathError::Relative(offset)),
                    _ => {}
                }
                name_start = offset + 1;
            }
            '\u{0}'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{E000}'..='\u{F8FF}' | '\u{FFF0}'.. => {
                return Err(PathError::InvalidCharacter(offset));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Splits a path at its last slash: the parent's path (empty for the root) and the name.
/// `None` if there is no slash.
pub fn parent_and_name(path: &str) -> Option<(&str, &str)> {
    let slash = path.rfind('/')?;
    Some((&path[..slash], &path[slash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_paths() {
        for path in ["/", "/a", "/a/b", "/a.b/..c/...", "/\u{d7ff}\u{f900}\u{ffef}", "/a b"] {
            assert_eq!(validate_path(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn illegal_paths() {
        for (path, error) in [
            ("", PathError::Empty),
            ("a", PathError::NotAbsolute),
            ("/a/", PathError::TrailingSlash),
            ("//", PathError::TrailingSlash),
            ("/a//b", PathError::EmptyName(3)),
            ("/a/./b", PathError::Relative(4)),
            ("/..", PathError::Relative(3)),
            ("/a\0", PathError::InvalidCharacter(2)),
            ("/\u{1}", PathError::InvalidCharacter(1)),
            ("/\u{9f}", PathError::InvalidCharacter(1)),
            ("/\u{e000}", PathError::InvalidCharacter(1)),
            ("/\u{fffd}", PathError::InvalidCharacter(1)),
            ("/\u{1f600}", PathError::InvalidCharacter(1)),
        ] {
            assert_eq!(validate_path(path), Err(error), "{path:?}");
        }
    }
}
