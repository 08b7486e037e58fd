//! The digest scheme (`DigestAuthenticationProvider`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Digest;

/// The hash behind digest identities (`DigestAuthenticationProvider.digestAlg`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DigestAlgorithm {
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
}

impl DigestAlgorithm {
    /// The algorithm of a Java name, upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "SHA" | "SHA1" | "SHA-1" => Self::Sha1,
            "SHA-224" | "SHA224" => Self::Sha224,
            "SHA-256" | "SHA256" => Self::Sha256,
            "SHA-384" | "SHA384" => Self::Sha384,
            "SHA-512" | "SHA512" => Self::Sha512,
            _ => return None,
        })
    }

    fn hash_base64(self, text: &str) -> String {
        match self {
            Self::Sha1 => STANDARD.encode(sha1::Sha1::digest(text)),
            Self::Sha224 => STANDARD.encode(sha2::Sha224::digest(text)),
            Self::Sha256 => STANDARD.encode(sha2::Sha256::digest(text)),
            Self::Sha384 => STANDARD.encode(sha2::Sha384::digest(text)),
            Self::Sha512 => STANDARD.encode(sha2::Sha512::digest(text)),
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
