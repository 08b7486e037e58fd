//! A session's password (`ZooKeeperServer#generatePasswd`).
//!
//! It is computed from the id alone, by the generator of `java.util.Random`, so that every server knows every
//! session's password. It proves nothing about the client but that it was told.

use rookeeper_protocol::client::PASSWORD_LEN;
use rookeeper_protocol::types::SessionId;

const SUPER_SECRET: i64 = 0xB341_5C00;
const MULTIPLIER: i64 = 0x5_DEEC_E66D;
const MASK: i64 = (1 << 48) - 1;

/// The password of this session.
pub fn password(session: SessionId) -> [u8; PASSWORD_LEN] {
    let mut state = ((session.0 ^ SUPER_SECRET) ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_LEN];
    for word in password.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        word.copy_from_slice(&((state >> 16) as i32).to_le_bytes());
    }
    password
}

/// Whether a client may resume this session.
pub fn password_matches(session: SessionId, given: Option<&[u8]>) -> bool {
    session != SessionId::NONE && given == Some(&password(session)[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_javas() {
        // java.util.Random(0 ^ 0xB3415C00).nextBytes of a fresh generator.
        let session = SessionId(SUPER_SECRET);
        // Seed 0: the first four ints are -1155484576, -723955400, 1033096058, -1690734402.
        let mut expected = Vec::new();
        for word in [-1_155_484_576_i32, -723_955_400, 1_033_096_058, -1_690_734_402] {
            expected.extend_from_slice(&word.to_le_bytes());
        }
        assert_eq!(password(session)[..], expected[..]);
        assert!(password_matches(session, Some(&expected)));
        assert!(!password_matches(session, None) && !password_matches(SessionId::NONE, Some(&expected)));
    }
}
