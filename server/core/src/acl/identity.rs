//! Identities of a connection: how they are won, and what they are called.

use rookeeper_protocol::types::Id;

use super::digest::{DigestAlgorithm, digest_id};

/// What decides about authentication, from the configuration.
#[derive(Debug, Clone, Default)]
pub struct AuthRules {
    /// Whether the digest scheme is known (`DigestAuthenticationProvider.enabled`).
    pub digest_enabled: bool,
    /// The hash of the digest scheme.
    pub digest_algorithm: DigestAlgorithm,
    /// The digest identity that is the super user (`DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<String>,
}

/// Identities that an auth packet won.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSuccess(pub Vec<Id>);

impl AuthRules {
    /// Whether a scheme is known at all (`ProviderRegistry`).
    pub fn knows(&self, scheme: &str) -> bool {
        scheme == "ip" || (scheme == "digest" && self.digest_enabled)
    }

    /// Judges an auth packet of a client at `address`. `None` is AUTHFAILED.
    pub fn authenticate(&self, scheme: Option<&str>, auth: Option<&[u8]>, address: &str) -> Option<AuthSuccess> {
        match scheme? {
            "ip" => Some(AuthSuccess(vec![Id::new("ip", address)])),
            "digest" if self.digest_enabled => {
                let id = digest_id(&rookeeper_protocol::jute::decode_text(auth?), self.digest_algorithm);
                let mut ids = Vec::new();
                if self.super_digest.as_deref() == Some(id.as_str()) {
                    ids.push(Id::new("super", ""));
                }
                ids.push(Id::new("digest", &id));
                Some(AuthSuccess(ids))
            }
            _ => None,
        }
    }
}

/// Whether one of the identities is the super user's.
pub fn is_super(ids: &[Id]) -> bool {
    ids.iter().any(|id| id.has_scheme("super"))
}

/// What whoAmI tells of each identity: scheme and user name (`AuthUtil#getClientInfos`).
pub fn client_infos<'a>(ids: &'a [Id], rules: &AuthRules) -> Vec<(&'a str, &'a str)> {
    let info = |id: &'a Id| {
        let scheme = id.scheme.as_deref().unwrap_or_default();
        let name = id.id.as_deref().unwrap_or_default();
        let user = match scheme {
            "digest" if rules.knows(scheme) => name.split(':').next().unwrap_or_default(),
            _ if rules.knows(scheme) => name,
            _ => "",
        };
        (scheme, user)
    };
    ids.iter().map(info).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_win_identities() {
        let rules = AuthRules {
            digest_enabled: true,
            super_digest: Some("super:D/InIHSb7yEEbrWz8b9l71RjZJU=".into()),
            ..AuthRules::default()
        };
        let ids = rules.authenticate(Some("digest"), Some(b"super:test"), "").map(|won| won.0).unwrap_or_default();
        assert_eq!(ids, [Id::new("super", ""), Id::new("digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU=")]);
        assert!(is_super(&ids));
        assert_eq!(client_infos(&ids, &rules), [("super", ""), ("digest", "super")]);
        assert_eq!(rules.authenticate(Some("sasl"), Some(b""), ""), None);
        assert_eq!(rules.authenticate(None, Some(b""), ""), None);
        assert_eq!(rules.authenticate(Some("digest"), None, ""), None);
    }
}
