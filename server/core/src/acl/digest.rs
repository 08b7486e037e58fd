//! The digest scheme (`DigestAuthenticationProvider`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;

/// The hash behind digest identities (`DigestAuthenticationProvider.digestAlg`): those that a JVM has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestAlgorithm {
    /// MD5.
    Md5,
    /// The default, and what all stock clients assume.
    #[default]
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA-512/224.
    Sha512_224,
    /// SHA-512/256.
    Sha512_256,
    /// SHA3-224.
    Sha3_224,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
}

impl DigestAlgorithm {
    /// All of them, by the name that a JVM shows.
    pub const NAMES: [(&'static str, Self); 12] = [
        ("MD5", Self::Md5),
        ("SHA-1", Self::Sha1),
        ("SHA-224", Self::Sha224),
        ("SHA-256", Self::Sha256),
        ("SHA-384", Self::Sha384),
        ("SHA-512", Self::Sha512),
        ("SHA-512/224", Self::Sha512_224),
        ("SHA-512/256", Self::Sha512_256),
        ("SHA3-224", Self::Sha3_224),
        ("SHA3-256", Self::Sha3_256),
        ("SHA3-384", Self::Sha3_384),
        ("SHA3-512", Self::Sha3_512),
    ];

    /// The algorithm that a JVM means by this name, in any case; `SHA` and forms without the hyphen as well.
    pub fn from_name(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        Self::NAMES
            .iter()
            .find(|(known, _)| upper == *known || upper == known.replacen("SHA-", "SHA", 1))
            .map(|(_, algorithm)| *algorithm)
            .or_else(|| (upper == "SHA").then_some(Self::Sha1))
    }

    fn hash_base64(self, text: &str) -> String {
        match self {
            Self::Md5 => STANDARD.encode(md5::Md5::digest(text)),
            Self::Sha1 => STANDARD.encode(sha1::Sha1::digest(text)),
            Self::Sha224 => STANDARD.encode(sha2::Sha224::digest(text)),
            Self::Sha256 => STANDARD.encode(sha2::Sha256::digest(text)),
            Self::Sha384 => STANDARD.encode(sha2::Sha384::digest(text)),
            Self::Sha512 => STANDARD.encode(sha2::Sha512::digest(text)),
            Self::Sha512_224 => STANDARD.encode(sha2::Sha512_224::digest(text)),
            Self::Sha512_256 => STANDARD.encode(sha2::Sha512_256::digest(text)),
            Self::Sha3_224 => STANDARD.encode(sha3::Sha3_224::digest(text)),
            Self::Sha3_256 => STANDARD.encode(sha3::Sha3_256::digest(text)),
            Self::Sha3_384 => STANDARD.encode(sha3::Sha3_384::digest(text)),
            Self::Sha3_512 => STANDARD.encode(sha3::Sha3_512::digest(text)),
        }
    }
}

/// The identity of `user:password`: the user's name and the hash of both.
pub fn digest_id(credentials: &str, algorithm: DigestAlgorithm) -> String {
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{user}:{}", algorithm.hash_base64(credentials))
}

/// Whether `id` can stand in an ACL: two parts, where Java's split forgets empty ones at the end.
pub(super) fn is_valid(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_the_one_that_java_prints() {
        assert_eq!(digest_id("super:test", DigestAlgorithm::Sha1), "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn validity_follows_javas_split() {
        assert!(is_valid("a:b") && is_valid("a:b::") && is_valid(":b"));
        assert!(!is_valid("a") && !is_valid("a:") && !is_valid("a:b:c") && !is_valid(""));
    }
}
