//! A look at servers that are read-only: what they show, and that they may.

use rookeeper_protocol::peer::PeerState;
use rookeeper_protocol::types::Zxid;

use super::Cluster;
use crate::checks::ensure;

impl Cluster {
    /// A member becomes read-only.
    pub(super) fn begin_to_show(&mut self, id: i64) {
        self.count("shows");
        let Some(process) = self.process(id) else { return };
        let (role, zxid, digest) = (process.role, process.tree.last_zxid(), process.tree.digest());
        self.check(ensure(role == PeerState::Looking, "whoever has a leader is not read-only", || {
            format!("server {id}: {role:?}")
        }));
        if self.ahead.get(&id).is_none_or(|ahead| zxid >= *ahead) {
            let compared = self.zab.ledger.compare_digest(id, zxid, digest);
            self.check(compared);
        }
        match self.zab.believed(id, zxid) {
            Ok(Some(ledger)) => {
                self.count("shows what was not agreed on");
                self.shown.begins(id, ledger);
            }
            Ok(None) => self.shown.ends(id),
            Err(failed) => self.check(Err(failed)),
        }
    }

    /// A read-only server shows what is committed, or what it had when it read its log: it learns of nothing meanwhile.
    pub(super) fn check_shown(&mut self, id: i64) {
        let Some(process) = self.process(id).filter(|process| process.shows) else { return };
        let (zxid, committed) = (process.tree.last_zxid(), process.peer.zab().history.committed());
        let bound: Zxid = committed.max(process.loaded);
        self.check(ensure(
            zxid <= bound,
            "a read-only server shows what is committed, or was there at its start",
            || format!("server {id} shows {zxid}, committed is {committed}"),
        ));
    }
}
