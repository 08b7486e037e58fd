//! The decision (`ZooKeeperServer#checkACL`).

use rookeeper_protocol::types::{Acl, Id};

use super::identity::{AuthRules, is_super};
use super::ip;

/// What the decision depends on besides list and identities.
#[derive(Debug, Clone, Default)]
pub struct AclPolicy {
    /// `skipACL=yes`: everything is permitted.
    pub skip: bool,
    /// Which schemes are known.
    pub auth: AuthRules,
}

/// Whether one of `perms` is granted by `list` to a connection with these identities.
pub fn permits(policy: &AclPolicy, list: &[Acl], perms: i32, ids: &[Id]) -> bool {
    if policy.skip || list.is_empty() || is_super(ids) {
        return true;
    }
    list.iter().filter(|acl| acl.perms & perms != 0).any(|acl| {
        let (scheme, wanted) = (acl.id.scheme.as_deref().unwrap_or_default(), acl.id.id.as_deref().unwrap_or_default());
        if scheme == "world" && wanted == "anyone" {
            return true;
        }
        policy.auth.knows(scheme)
            && ids
                .iter()
                .any(|id| id.has_scheme(scheme) && matches(scheme, id.id.as_deref().unwrap_or_default(), wanted))
    })
}

fn matches(scheme: &str, id: &str, wanted: &str) -> bool {
    match scheme {
        "ip" => ip::matches(id, wanted),
        _ => id == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rookeeper_protocol::types::Perms;

    #[test]
    fn the_decision_follows_list_and_identities() {
        let policy = AclPolicy { skip: false, auth: AuthRules { digest_enabled: true, ..AuthRules::default() } };
        let list = [
            Acl { perms: Perms::READ, id: Id::new("ip", "10.0.0.0/8") },
            Acl { perms: Perms::WRITE, id: Id::new("digest", "a:x") },
        ];
        let inside = [Id::new("ip", "10.1.1.1")];
        let user = [Id::new("ip", "1.1.1.1"), Id::new("digest", "a:x")];
        assert!(permits(&policy, &list, Perms::READ, &inside));
        assert!(!permits(&policy, &list, Perms::WRITE, &inside));
        assert!(permits(&policy, &list, Perms::WRITE, &user));
        assert!(!permits(&policy, &list, Perms::READ, &user));
        assert!(permits(&policy, &list, Perms::ADMIN, &[Id::new("super", "")]));
        assert!(permits(&policy, &[], Perms::ADMIN, &[]));
        assert!(permits(&AclPolicy { skip: true, ..policy }, &list, Perms::ADMIN, &[]));
    }
}
