//! Which item may stand where.

use super::item::SnapshotItem;

/// How far a stream has come.
///
/// ```text
/// Sessions --count--> SessionsLeft --last--> Acls --count--> AclsLeft --last--> Znodes --end--> Ended
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The number of sessions comes.
    Sessions,
    /// So many sessions come, at least one.
    SessionsLeft(usize),
    /// The number of lists comes.
    Acls,
    /// So many lists come, at least one.
    AclsLeft(usize),
    /// Znodes or the end come.
    Znodes,
    /// Nothing comes any more.
    Ended,
}

impl Stage {
    /// The stage behind this item, if it may stand here.
    pub(super) fn after(self, item: &SnapshotItem<'_>) -> Option<Self> {
        let left = |count: usize, more: fn(usize) -> Stage, done| if count == 0 { done } else { more(count) };
        Some(match (self, item) {
            (Self::Sessions, SnapshotItem::Sessions(count)) => left(*count, Self::SessionsLeft, Self::Acls),
            (Self::SessionsLeft(count), SnapshotItem::Session { .. }) => {
                left(count - 1, Self::SessionsLeft, Self::Acls)
            }
            (Self::Acls, SnapshotItem::Acls(count)) => left(*count, Self::AclsLeft, Self::Znodes),
            (Self::AclsLeft(count), SnapshotItem::Acl { .. }) => left(count - 1, Self::AclsLeft, Self::Znodes),
            (Self::Znodes, SnapshotItem::Znode(_)) => Self::Znodes,
            (Self::Znodes, SnapshotItem::End) => Self::Ended,
            _ => return None,
        })
    }
}
