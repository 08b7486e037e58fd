//! The ways in which Java turns a text into a number or a switch. They differ in what they take
//! and in what happens to the rest, so each reader of `keys.rs` names the one that Java uses.

/// Java's `String.trim`: control characters go as well.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// `Long.parseLong`: decimal, one optional sign. Only ASCII digits (Java takes any script's).
pub(super) fn parse_long(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// `Integer.parseInt`: decimal, one optional sign.
pub(super) fn parse_int(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// `Long.decode`, which `Long.getLong` uses: decimal, `0x`/`#` hexadecimal, or `0` octal.
pub(super) fn decode_long(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let hexadecimal = ["0x", "0X", "#"].iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (digits, radix) = match hexadecimal {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// `Integer.decode`, which `Integer.getInteger` uses.
pub(super) fn decode_int(text: &str) -> Option<i32> {
    decode_long(text).and_then(|wide| i32::try_from(wide).ok())
}

/// `Double.parseDouble` for the forms that people write: a trailing type letter is allowed, a
/// hexadecimal number is not.
pub(super) fn parse_real(text: &str) -> Option<f64> {
    let text = trim(text);
    let digits = text
        .strip_suffix(['f', 'F', 'd', 'D'])
        .filter(|rest| rest.ends_with(|c: char| c.is_ascii_digit() || c == '.'))
        .unwrap_or(text);
    // Rust also reads "inf" and "nan" in any case, which Java does not.
    let unsigned = digits.trim_start_matches(['+', '-']);
    if unsigned.starts_with(|c: char| c.is_ascii_alphabetic()) && unsigned != "Infinity" {
        return (unsigned == "NaN").then_some(f64::NAN);
    }
    digits.parse().ok()
}

/// `QuorumPeerConfig.parseBoolean`: true or false in any case, nothing else.
pub(super) fn parse_switch(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_takes_three_radixes() {
        for (text, want) in [
            ("10", Some(10)),
            ("+10", Some(10)),
            ("-10", Some(-10)),
            ("0x10", Some(16)),
            ("-0X10", Some(-16)),
            ("#ff", Some(255)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("08", None),
            ("", None),
            ("-", None),
            ("0x-1", None),
            ("--1", None),
            (" 1", None),
            ("1k", None),
            ("2147483648", None),
            ("-2147483648", Some(i32::MIN)),
            ("0x80000000", None),
        ] {
            assert_eq!(decode_int(text), want, "{text:?}");
        }
        assert_eq!(decode_long("9223372036854775808"), None);
        assert_eq!(decode_long("-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn plain_numbers_and_switches() {
        assert_eq!(parse_int("+7"), Some(7));
        assert_eq!(parse_int("0x7"), None);
        assert_eq!(parse_int("7 "), None);
        assert_eq!(parse_switch("TRUE"), Some(true));
        assert_eq!(parse_switch("yes"), None);
        assert_eq!(parse_real(" 0.5f "), Some(0.5));
        assert_eq!(parse_real("1e-3"), Some(0.001));
        assert_eq!(parse_real("inf"), None);
        assert_eq!(parse_real("half"), None);
    }
}
