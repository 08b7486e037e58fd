//! The ip scheme (`IPAuthenticationProvider`).

/// An address as bytes: four or sixteen.
fn parse_address(text: &str) -> Option<Vec<u8>> {
    if text.contains(':') {
        parse_v6(text)
    } else if text.contains('.') {
        parse_v4(text)
    } else {
        None
    }
}

fn parse_v4(text: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = text.split('.').collect();
    // Java's Integer.parseInt takes a sign; a value from 0 to 255 is what counts.
    let bytes: Option<Vec<u8>> =
        parts.iter().map(|part| part.parse::<i32>().ok().and_then(|v| u8::try_from(v).ok())).collect();
    bytes.filter(|bytes| bytes.len() == 4)
}

fn parse_v6(text: &str) -> Option<Vec<u8>> {
    let halves: Vec<&str> = text.split("::").collect();
    let segments = |half: &str| -> Option<Vec<u8>> {
        if half.is_empty() {
            return Some(Vec::new());
        }
        let mut bytes = Vec::new();
        for segment in half.split(':') {
            if segment.is_empty() || segment.len() > 4 {
                return None;
            }
            let value = i32::from_str_radix(segment, 16).ok()?;
            bytes.extend_from_slice(&(value as u16).to_be_bytes());
        }
        Some(bytes)
    };
    match halves.as_slice() {
        [whole] if !whole.is_empty() => segments(whole).filter(|bytes| bytes.len() == 16),
        [front, back] => {
            let (mut front, back) = (segments(front)?, segments(back)?);
            if front.len() + back.len() >= 16 {
                return None;
            }
            front.resize(16 - back.len(), 0);
            front.extend(back);
            Some(front)
        }
        _ => None,
    }
}

/// An address and how many of its bits count.
fn parse_expression(expression: &str) -> Option<(Vec<u8>, usize)> {
    let (address, bits) = match expression.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (expression, None),
    };
    let address = parse_address(address)?;
    let bits_max = address.len() * 8;
    let bits = match bits {
        Some(bits) => bits.parse::<i32>().ok().and_then(|bits| usize::try_from(bits).ok())?,
        None => bits_max,
    };
    (bits <= bits_max).then_some((address, bits))
}

fn masked(mut address: Vec<u8>, bits: usize) -> Vec<u8> {
    for (index, byte) in address.iter_mut().enumerate() {
        let kept = bits.saturating_sub(index * 8).min(8);
        *byte &= !(0xFF_u16 >> kept) as u8;
    }
    address
}

/// Whether `id` can stand in an ACL: an address, or an address and a number of bits.
pub(super) fn is_valid(id: &str) -> bool {
    parse_expression(id).is_some()
}

/// Whether the address `id` is within `expression`.
pub(super) fn matches(id: &str, expression: &str) -> bool {
    let (Some((wanted, bits)), Some(address)) = (parse_expression(expression), parse_address(id)) else {
        return false;
    };
    masked(wanted, bits) == masked(address, bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_match_by_their_first_bits() {
        for (id, expression, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "10.0.0.2/30", true),
            ("10.0.0.5", "10.0.0.2/30", false),
            ("10.9.9.9", "10.0.0.0/8", true),
            ("11.0.0.0", "0.0.0.0/0", true),
            ("0:0:0:0:0:0:0:1", "::1", true),
            ("fe80:0:0:0:1:2:3:4", "fe80::/10", true),
            ("fe80:0:0:0:1:2:3:4", "10.0.0.0/0", false),
        ] {
            assert_eq!(matches(id, expression), expected, "{id} {expression}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for id in
            ["", "1.2.3", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/x", "1:2", ":::", "1::2::3", "12345::"]
        {
            assert!(!is_valid(id), "{id}");
        }
        assert!(is_valid("::") && is_valid("1.2.3.4/0") && is_valid("::1/128"));
    }
}
