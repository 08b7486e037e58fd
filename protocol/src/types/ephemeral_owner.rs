//! What the 64 bits of `ephemeralOwner` mean (`EphemeralType`, `EphemeralTypeEmulate353`).

use super::ids::SessionId;

/// The longest time to live in milliseconds: 40 bits (`EphemeralType#maxValue`).
pub const TTL_MS_MAX: i64 = 0xFF_FFFF_FFFF;

const CONTAINER: i64 = i64::MIN;
const EXTENDED_MASK: u64 = 0xFF00_0000_0000_0000;
const RESERVED_MASK: u64 = 0x00FF_FF00_0000_0000;

/// Which readings of `ephemeralOwner` are switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtendedTypes {
    /// `zookeeper.extendedTypesEnabled`: a top byte of 0xFF marks a TTL znode.
    pub enabled: bool,
    /// `zookeeper.emulate353TTLNodes`: every negative owner but the container's is a TTL of 3.5.3.
    pub emulate_353: bool,
}

/// Who or what a znode belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EphemeralOwner {
    /// Nobody: an ordinary persistent znode.
    None,
    /// A session: an ephemeral znode.
    Session(SessionId),
    /// A container.
    Container,
    /// A time to live in milliseconds.
    Ttl(i64),
}

/// An owner whose reserved bits name a feature that does not exist (`EphemeralType#get`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ephemeralOwner {0:#x} uses a feature of a newer ZooKeeper; load it with the version that wrote it")]
pub struct OwnerError(pub i64);

impl EphemeralOwner {
    /// Reads the stored number. With extended types, an unknown feature in the reserved bits is an error.
    pub fn decode(owner: i64, types: ExtendedTypes) -> Result<Self, OwnerError> {
        if owner == 0 {
            return Ok(Self::None);
        }
        if owner == CONTAINER {
            return Ok(Self::Container);
        }
        if types.enabled {
            if types.emulate_353 && owner < 0 {
                return Ok(Self::Ttl(owner & TTL_MS_MAX));
            }
            if owner as u64 & EXTENDED_MASK == EXTENDED_MASK {
                if owner as u64 & RESERVED_MASK != 0 {
                    return Err(OwnerError(owner));
                }
                return Ok(Self::Ttl(owner & TTL_MS_MAX));
            }
        }
        Ok(Self::Session(SessionId(owner)))
    }

    /// The number that is stored.
    pub fn encode(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Session(session) => session.0,
            Self::Container => CONTAINER,
            Self::Ttl(ttl_ms) => (EXTENDED_MASK as i64) | (ttl_ms & TTL_MS_MAX),
        }
    }

    /// What a client sees in Stat: the session of an ephemeral znode, zero for all others
    /// (`DataNode#copyStat`).
    pub fn visible(self) -> i64 {
        match self {
            Self::Session(session) => session.0,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn owners_are_read_as_the_switches_say() {
        let plain = ExtendedTypes::default();
        let extended = ExtendedTypes { enabled: true, emulate_353: false };
        let old = ExtendedTypes { enabled: true, emulate_353: true };
        let ttl = EphemeralOwner::Ttl(5000).encode();
        assert_eq!(EphemeralOwner::decode(ttl, extended), Ok(EphemeralOwner::Ttl(5000)));
        assert_eq!(EphemeralOwner::decode(ttl, plain), Ok(EphemeralOwner::Session(SessionId(ttl))));
        assert_eq!(EphemeralOwner::decode(i64::MIN, plain), Ok(EphemeralOwner::Container));
        assert_eq!(EphemeralOwner::decode(i64::MIN + 7, old), Ok(EphemeralOwner::Ttl(7)));
        let unknown = (0xFF01_u64 << 48) as i64;
        assert_eq!(EphemeralOwner::decode(unknown, extended), Err(OwnerError(unknown)));
    }
}
