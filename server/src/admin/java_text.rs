//! Numbers and times as Java prints them.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::client::java_address;

/// A fraction (`Double.toString`): the fewest digits that tell it from its neighbours, at least one behind the
/// point; very small and very large ones with an exponent.
pub(super) fn fraction(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) || !size.is_finite() {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        Some((digits, exponent)) => format!("{digits}E{exponent}"),
        None => text,
    }
}

/// A moment given in milliseconds since 1970, in this machine's time zone (`Date.toString`).
pub(super) fn date(wall_ms: i64) -> String {
    date_in(wall_ms, TimeZone::system())
}

fn date_in(wall_ms: i64, zone: TimeZone) -> String {
    let moment = Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    moment.to_zoned(zone).strftime("%a %b %d %H:%M:%S %Z %Y").to_string()
}

/// An address with its port (`InetSocketAddress.toString`).
pub(super) fn socket(address: SocketAddr) -> String {
    let port = address.port();
    match address.ip() {
        IpAddr::V4(ip) => format!("/{ip}:{port}"),
        ip @ IpAddr::V6(_) => format!("/[{}]:{port}", java_address(ip)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fractions_are_javas() {
        let told = [0.0, 1.0, 0.3333, 12.5, 0.001, 0.0009, 0.0001, 9_999_999.5, 1e7, 12_345_678.9, 1e16].map(fraction);
        let expected = [
            "0.0",
            "1.0",
            "0.3333",
            "12.5",
            "0.001",
            "9.0E-4",
            "1.0E-4",
            "9999999.5",
            "1.0E7",
            "1.23456789E7",
            "1.0E16",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn dates_are_javas() {
        assert_eq!(date_in(1_795_245_411_999, TimeZone::UTC), "Sat Nov 21 07:16:51 UTC 2026");
        let paris = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(date_in(1_780_000_000_000, paris), "Thu May 28 22:26:40 CEST 2026");
    }

    #[test]
    fn addresses_are_javas() {
        let told = ["127.0.0.1:80", "[::1]:2181", "[fe80::1:0]:5"].map(|text| socket(text.parse().unwrap()));
        assert_eq!(told, ["/127.0.0.1:80", "/[0:0:0:0:0:0:0:1]:2181", "/[fe80:0:0:0:0:0:1:0]:5"]);
    }
}
