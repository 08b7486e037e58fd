//! Containers and znodes with a time to live: when they may go, and that they do.

use rookeeper_protocol::types::{EphemeralOwner, Zxid};

use super::{Failed, Ledger, State, ensure};

impl Ledger {
    /// Whether a znode was due at this zxid and wall-clock time.
    fn is_due(&self, path: &str, state: &State, zxid: Zxid, now_ms: i64, never_used_ms_max: i64) -> bool {
        let age_ms = now_ms - state.mtime_ms;
        let may_go = match state.owner {
            EphemeralOwner::Container => {
                let was_used = self.next_child_change(path, state.czxid).is_some_and(|used| used <= zxid);
                was_used || (never_used_ms_max != 0 && age_ms > never_used_ms_max)
            }
            EphemeralOwner::Ttl(ttl_ms) => age_ms > ttl_ms,
            EphemeralOwner::Session(_) | EphemeralOwner::None => false,
        };
        may_go && self.children_at(path, zxid) == 0
    }

    /// The znodes that are due at this zxid and wall-clock time.
    pub(crate) fn due(&self, zxid: Zxid, now_ms: i64, never_used_ms_max: i64) -> impl Iterator<Item = &String> {
        self.mortal.iter().filter(move |path| {
            let state = self.at(path, zxid);
            state.is_some_and(|state| self.is_due(path, state, zxid, now_ms, never_used_ms_max))
        })
    }

    /// A leader has looked what may go: it finds all that is due, and nothing else.
    pub(crate) fn looked_for_due(
        &mut self,
        member: i64,
        zxid: Zxid,
        now_ms: i64,
        never_used_ms_max: i64,
        found: &[String],
    ) -> Result<(), Failed> {
        let mut found: Vec<&String> = found.iter().collect();
        found.sort();
        let due: Vec<&String> = self.due(zxid, now_ms, never_used_ms_max).collect();
        ensure(found == due, "a leader removes what is due, and nothing else", || {
            format!("server {member} at {zxid}: {found:?}, due are {due:?}")
        })?;
        let due: Vec<String> = due.into_iter().cloned().collect();
        self.found_due.extend(due);
        Ok(())
    }

    /// A container or a znode with a time to live went by itself: some leader has found it due, and it has no children. That
    /// it was used or set anew since then does not save it, as in Java.
    pub(super) fn check_reaped(&self, path: &str, zxid: Zxid) -> Result<(), Failed> {
        let state = self.at(path, zxid);
        let may_go =
            state.is_some_and(|state| matches!(state.owner, EphemeralOwner::Container | EphemeralOwner::Ttl(_)));
        let goes = may_go && self.children_at(path, zxid) == 0 && self.found_due.contains(path);
        ensure(goes, "only what was due goes by itself", || format!("{path} with {zxid}: {state:?}"))
    }
}
