//! What becomes of an ACL that a client sends (`PrepRequestProcessor#fixupACL`).

use rookeeper_protocol::types::{Acl, AclList, ErrorCode, Id};

use super::identity::AuthRules;
use super::{digest, ip};

/// Why an ACL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidAcl {
    /// Nothing in it, or something that no scheme knows: INVALIDACL.
    Invalid,
    /// An id that is null where Java does not look for it: MARSHALLINGERROR.
    NullId,
}

impl From<InvalidAcl> for ErrorCode {
    fn from(error: InvalidAcl) -> Self {
        match error {
            InvalidAcl::Invalid => Self::InvalidAcl,
            InvalidAcl::NullId => Self::MarshallingError,
        }
    }
}

/// Removes duplicates, resolves `auth` into the connection's identities, and refuses what no scheme knows.
pub fn normalize(rules: &AuthRules, list: Option<&[Acl]>, ids: &[Id]) -> Result<AclList, InvalidAcl> {
    let list = list.unwrap_or_default();
    let mut unique: Vec<&Acl> = Vec::with_capacity(list.len());
    for acl in list {
        if !unique.contains(&acl) {
            unique.push(acl);
        }
    }
    if unique.is_empty() {
        return Err(InvalidAcl::Invalid);
    }
    let mut normal = Vec::with_capacity(unique.len());
    for acl in unique {
        let scheme = acl.id.scheme.as_deref().ok_or(InvalidAcl::Invalid)?;
        let id = acl.id.id.as_deref();
        match scheme {
            "world" if id.ok_or(InvalidAcl::NullId)? == "anyone" => normal.push(acl.clone()),
            "auth" => {
                // Only schemes that authenticate count: an address proves nothing, and super has no provider.
                let mut own = ids.iter().filter(|id| id.has_scheme("digest") && rules.knows("digest")).peekable();
                own.peek().ok_or(InvalidAcl::Invalid)?;
                normal.extend(own.map(|id| Acl { perms: acl.perms, id: id.clone() }));
            }
            _ => {
                if !rules.knows(scheme) {
                    return Err(InvalidAcl::Invalid);
                }
                let id = id.ok_or(InvalidAcl::NullId)?;
                let valid = match scheme {
                    "digest" => digest::is_valid(id),
                    "ip" => ip::is_valid(id),
                    _ => false,
                };
                if !valid {
                    return Err(InvalidAcl::Invalid);
                }
                normal.push(acl.clone());
            }
        }
    }
    Ok(normal.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rookeeper_protocol::types::Perms;

    #[test]
    fn lists_are_normalized() {
        let rules = AuthRules { digest_enabled: true, ..AuthRules::default() };
        let ids = [Id::new("ip", "1.1.1.1"), Id::new("super", ""), Id::new("digest", "a:x"), Id::new("digest", "b:y")];
        let auth = Acl { perms: Perms::READ, id: Id::new("auth", "") };
        let list = [Acl::open(), auth.clone(), Acl::open()];
        let expected = [
            Acl::open(),
            Acl { perms: Perms::READ, id: Id::new("digest", "a:x") },
            Acl { perms: Perms::READ, id: Id::new("digest", "b:y") },
        ];
        assert_eq!(normalize(&rules, Some(&list), &ids).as_deref(), Ok(&expected[..]));
        let invalid = |list: &[Acl]| assert_eq!(normalize(&rules, Some(list), &ids[..1]), Err(InvalidAcl::Invalid));
        invalid(&[]);
        invalid(&[auth]);
        invalid(&[Acl { perms: 31, id: Id::new("world", "somebody") }]);
        invalid(&[Acl { perms: 31, id: Id::new("sasl", "a") }]);
        invalid(&[Acl { perms: 31, id: Id { scheme: None, id: None } }]);
        assert_eq!(normalize(&rules, None, &ids), Err(InvalidAcl::Invalid));
    }
}
