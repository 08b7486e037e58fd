//! Java's `.properties` format (`java.util.Properties.load`), read with nom: zoo.cfg, files of members, and the
//! list of members that travels between servers.
//!
//! A file is ISO-8859-1 to Java, never UTF-8; other characters come as `\uXXXX`. Text that came over the
//! network was decoded before. White space before a value is dropped, white space behind it stays: who reads
//! the value decides (`QuorumPeerConfig` trims, `QuorumMaj` does not).

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while_m_n};
use nom::character::complete::{anychar, char, none_of, one_of};
use nom::combinator::{cut, map, opt, value};
use nom::error::Error;
use nom::multi::fold_many0;
use nom::sequence::preceded;
use nom::{IResult, Parser};

/// One `key = value`, after escapes were resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, not trimmed.
    pub key: String,
    /// The value, not trimmed at its end.
    pub value: String,
    /// The line on which the entry begins, from 1.
    pub line: usize,
}

/// A `\u` that is not followed by four hexadecimal digits, the one thing that this format
/// refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\\u must be followed by four hexadecimal digits; a backslash itself is written \\\\")]
pub struct BadEscape {
    /// The line on which the entry begins, from 1.
    pub line: usize,
}

/// Reads the bytes of a file, each of which is one character.
pub fn parse_latin1(bytes: &[u8]) -> Result<Vec<Entry>, BadEscape> {
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    parse(&text)
}

/// Reads a text. Entries come in its order; of two with the same key Java keeps the later one, which is left
/// to the caller because he can tell the user.
pub fn parse(text: &str) -> Result<Vec<Entry>, BadEscape> {
    logical_lines(text)
        .into_iter()
        .map(|(line, text)| match entry(&text) {
            Ok((_, (key, value))) => Ok(Entry { key, value, line }),
            Err(_) => Err(BadEscape { line }),
        })
        .collect()
}

/// A value as it has to be written so that it is read back: backslashes are doubled, and what is not ASCII is written by its
/// number. Java's servers write values as they are, which they then read differently.
pub fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => text.push_str("\\\\"),
            Ok(byte @ b' '..=b'~') => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\u{unit:04x}")),
        }
    }
    text
}

/// Joins continued lines and drops comments and blank lines, as Java's
/// `Properties.LineReader` does, its oddities included: a blank line ends a continuation, and a
/// comment may stand after a line that holds nothing but a backslash.
fn logical_lines(mut text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut joined = String::new();
    let mut first_line = 0;
    let mut number = 0;
    while !text.is_empty() {
        let Ok((rest, line)) = natural_line(text) else {
            break;
        };
        text = rest;
        number += 1;
        if joined.is_empty() {
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            first_line = number;
        }
        let backslashes = line.chars().rev().take_while(|&c| c == '\\').count();
        if backslashes % 2 == 1 {
            joined.push_str(&line[..line.len() - 1]);
        } else {
            joined.push_str(line);
            lines.push((first_line, std::mem::take(&mut joined)));
        }
    }
    if !joined.is_empty() {
        lines.push((first_line, joined));
    }
    lines
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// One line of the file without its leading white space and its end.
fn natural_line(text: &str) -> IResult<&str, &str> {
    let (text, _) = take_while(is_blank)(text)?;
    let (text, line) = take_till(|c| c == '\r' || c == '\n')(text)?;
    let (text, _) = opt(alt((tag("\r\n"), tag("\r"), tag("\n")))).parse(text)?;
    Ok((text, line))
}

fn entry(line: &str) -> IResult<&str, (String, String)> {
    let (rest, key) = escaped_text(line, none_of("=: \t\x0c\\"))?;
    let (rest, _) = take_while(is_blank)(rest)?;
    let (rest, _) = opt(one_of("=:")).parse(rest)?;
    let (rest, _) = take_while(is_blank)(rest)?;
    let (rest, value) = escaped_text(rest, none_of("\\"))?;
    Ok((rest, (key, value)))
}

/// What a text is made of: `\u` may write half a character, so that only the sum of units is text again.
#[derive(Clone, Copy)]
enum Piece {
    Unit(u16),
    Character(char),
}

fn escaped_text<'a>(
    text: &'a str,
    plain: impl Parser<&'a str, Output = char, Error = Error<&'a str>>,
) -> IResult<&'a str, String> {
    let escape = preceded(char('\\'), alt((unicode_escape, short_escape)));
    let piece = alt((escape, map(plain, Piece::Character)));
    let (rest, units) = fold_many0(piece, Vec::new, |mut units, piece| {
        match piece {
            Piece::Unit(unit) => units.push(unit),
            Piece::Character(character) => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
        }
        units
    })
    .parse(text)?;
    Ok((rest, String::from_utf16_lossy(&units)))
}

fn unicode_escape(text: &str) -> IResult<&str, Piece> {
    let digits = take_while_m_n(4, 4, |c: char| c.is_ascii_hexdigit());
    let unit = map(digits, |hex| Piece::Unit(u16::from_str_radix(hex, 16).unwrap_or_default()));
    preceded(char('u'), cut(unit)).parse(text)
}

fn short_escape(text: &str) -> IResult<&str, Piece> {
    let named = alt((
        value('\t', char('t')),
        value('\r', char('r')),
        value('\n', char('n')),
        value('\x0c', char('f')),
        anychar,
    ));
    map(named, Piece::Character).parse(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, usize)> {
        parse(text).unwrap().into_iter().map(|e| (e.key, e.value, e.line)).collect()
    }

    fn one(text: &str) -> (String, String) {
        let mut all = pairs(text);
        assert_eq!(all.len(), 1, "{text:?}: {all:?}");
        let (key, value, _) = all.remove(0);
        (key, value)
    }

    #[test]
    fn what_is_escaped_reads_back() {
        for value in ["", "a b=c:d", "C:\\x", "\u{e4}\u{1f600}", "tab\there"] {
            let entries = parse(&format!("key={}", escape(value))).unwrap();
            assert_eq!((&*entries[0].key, &*entries[0].value), ("key", value));
        }
    }

    #[test]
    fn separators_and_white_space() {
        for text in ["a=b", "a:b", "a b", "  a = b", "a\t:\x0cb", "a   b", "a =b\r\n"] {
            assert_eq!(one(text), ("a".into(), "b".into()), "{text:?}");
        }
        assert_eq!(one("a=b \t"), ("a".into(), "b \t".into()));
        assert_eq!(one("a"), ("a".into(), String::new()));
        assert_eq!(one("a="), ("a".into(), String::new()));
        assert_eq!(one("=b"), (String::new(), "b".into()));
        assert_eq!(one("a==b"), ("a".into(), "=b".into()));
        assert_eq!(one("a = = b"), ("a".into(), "= b".into()));
        assert_eq!(one("a b=c"), ("a".into(), "b=c".into()));
    }

    #[test]
    fn escapes() {
        assert_eq!(one(r"a\=b=c\td"), ("a=b".into(), "c\td".into()));
        assert_eq!(one(r"a\ b c\:\q"), ("a b".into(), "c:q".into()));
        assert_eq!(one(r"a=\u00e4\uD83D\uDE00"), ("a".into(), "ä😀".into()));
        assert_eq!(parse("ok=1\nbad=\\u00g0"), Err(BadEscape { line: 2 }));
        assert_eq!(parse("bad=\\u12"), Err(BadEscape { line: 1 }));
    }

    #[test]
    fn bytes_are_latin1_and_text_is_not() {
        assert_eq!(parse_latin1("a=ä".as_bytes()).unwrap()[0].value, "\u{c3}\u{a4}".to_owned());
        assert_eq!(parse_latin1(b"a=\xe4").unwrap()[0].value, "ä");
        assert_eq!(one("ä=€😀\\😀"), ("ä".into(), "€😀😀".into()));
    }

    #[test]
    fn comments_and_blank_lines_count_as_lines() {
        let text = "# one\n\n  ! two \\\na=1\r\n\r\nb=2\rc=3";
        assert_eq!(
            pairs(text),
            [("a".into(), "1".into(), 4), ("b".into(), "2".into(), 6), ("c".into(), "3".into(), 7)]
        );
    }

    #[test]
    fn continuations() {
        assert_eq!(one("a=b\\\n   c"), ("a".into(), "bc".into()));
        assert_eq!(one("a=b\\\r\n\tc"), ("a".into(), "bc".into()));
        assert_eq!(one("a=b\\\\"), ("a".into(), "b\\".into()));
        assert_eq!(one("a=b\\"), ("a".into(), "b".into()));
        assert_eq!(one("a=b\\\n# no comment"), ("a".into(), "b# no comment".into()));
        assert_eq!(pairs("a=b\\\n\nc=d"), [("a".into(), "b".into(), 1), ("c".into(), "d".into(), 3)]);
        assert_eq!(pairs("\\\n# a comment after all\na=1"), [("a".into(), "1".into(), 3)]);
    }
}
