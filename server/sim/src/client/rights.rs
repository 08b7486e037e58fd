//! Who a client is, what it lets others do, and what it may do itself: the rules of ACLs, told once more in the simplest way.

use rookeeper_protocol::types::{Acl, Id, Perms};

/// Who a client is to its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody asks: servers skip ACLs.
    Anybody,
    /// A client that has not said who it is.
    Stranger,
    Alice,
    Bob,
    /// May do everything.
    Super,
}

/// The digest of whoever may do everything (`DigestAuthenticationProvider.superDigest`).
pub(crate) const SUPER_DIGEST: &str = "super:BDYfsKZtexvW+zRgsJ2N0pMNlLY=";

impl Who {
    /// What it says of itself on each connection, in the digest scheme.
    pub(crate) fn says(self) -> Option<&'static str> {
        match self {
            Self::Anybody | Self::Stranger => None,
            Self::Alice => Some("alice:a"),
            Self::Bob => Some("bob:b"),
            Self::Super => Some("super:s"),
        }
    }

    /// What that becomes in ACLs.
    fn digest(self) -> Option<&'static str> {
        match self {
            Self::Anybody | Self::Stranger => None,
            Self::Alice => Some("alice:AIueg8ag5ALfqeEyKdLnva1Wvi0="),
            Self::Bob => Some("bob:LcrmCNs/wfVD+i5a5yaz89GyjIM="),
            Self::Super => Some(SUPER_DIGEST),
        }
    }

    /// Whether it has this permission.
    pub(super) fn may(self, list: &[Acl], perm: i32) -> bool {
        let is_meant = |id: &Id| match id.scheme.as_deref() {
            Some("world") => true,
            Some("digest") => id.id.as_deref() == self.digest(),
            _ => false,
        };
        matches!(self, Self::Anybody | Self::Super) || list.iter().any(|acl| acl.perms & perm != 0 && is_meant(&acl.id))
    }
}

/// Whom a client lets do what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody has these permissions.
    World(i32),
    /// Whoever asks has all of them, and nobody else any.
    Own,
    /// Whoever asks has all of them, and everybody reads.
    Shown,
}

impl Access {
    /// Everybody may do everything.
    pub(crate) const OPEN: Self = Self::World(Perms::ALL);

    /// The list as a client sends it.
    pub(super) fn asked(self) -> Vec<Acl> {
        let world = |perms| Acl { perms, id: Id::new("world", "anyone") };
        let own = Acl { perms: Perms::ALL, id: Id::new("auth", "") };
        match self {
            Self::World(perms) => vec![world(perms)],
            Self::Own => vec![own],
            Self::Shown => vec![own, world(Perms::READ)],
        }
    }

    /// The list as servers keep it, if they take it from this client.
    pub(super) fn kept(self, who: Who) -> Option<Vec<Acl>> {
        let resolved = self.asked().into_iter().map(|acl| match acl.id.scheme.as_deref() {
            Some("auth") => who.digest().map(|digest| Acl { perms: acl.perms, id: Id::new("digest", digest) }),
            _ => Some(acl),
        });
        resolved.collect()
    }
}
