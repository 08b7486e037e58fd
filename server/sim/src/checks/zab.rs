//! The properties of the agreement (ZooKeeper's TLA+ specification names them), checked after each step.
//!
//! What each member has logged is kept here a second time, by what it gave to its disk and what the disk reported. So it is
//! known at each commit who really has it.

use std::collections::BTreeMap;

use rookeeper_core::peer::Peer;
use rookeeper_core::zab::{Epochs, LogRecord, follows};
use rookeeper_protocol::peer::PacketType;
use rookeeper_protocol::types::{ServerId, Zxid};

use super::{Failed, Ledger, ensure};

/// What a member's log holds.
#[derive(Debug, Default)]
struct Mirror {
    /// Everything up to here stands in a snapshot or an image.
    base: Zxid,
    records: Vec<LogRecord>,
    /// So many of the records are flushed.
    flushed: usize,
    /// Records behind a snapshot whose installation was not asked for yet.
    behind_snapshot: Option<(Zxid, Vec<LogRecord>)>,
    /// What is on disk while a snapshot takes its place.
    replaced: Vec<LogRecord>,
    /// So many records go with it.
    replacing: usize,
    /// The disk was cutting or replacing the log when the process ended: it may be found either way.
    is_uncertain: bool,
    epochs: Epochs,
    /// So much of the ledger was compared with what this member says is committed.
    agreed: usize,
}

impl Mirror {
    fn last(&self) -> Zxid {
        self.records.last().map_or(self.base, |record| record.zxid)
    }

    fn find(&self, zxid: Zxid) -> Option<(usize, &LogRecord)> {
        let at = self.records.binary_search_by_key(&zxid, |record| record.zxid).ok()?;
        Some((at, self.records.get(at)?))
    }

    /// Whether this record is on the disk for certain.
    fn has_flushed(&self, record: &LogRecord) -> bool {
        let flushed = match self.find(record.zxid) {
            Some((at, own)) => at < self.flushed && own == record,
            None => record.zxid <= self.base && !self.is_uncertain,
        };
        flushed || self.replaced.contains(record)
    }
}

/// The checks.
#[derive(Debug, Default)]
pub(crate) struct Zab {
    pub(crate) ledger: Ledger,
    mirrors: BTreeMap<i64, Mirror>,
    /// Everything that a leader has proposed.
    proposed: BTreeMap<Zxid, LogRecord>,
    /// Who is established in which epoch.
    leaders: BTreeMap<u32, i64>,
    /// Who began which epoch, and where its history ended then.
    begun: BTreeMap<u32, (i64, Zxid)>,
}

impl Zab {
    fn mirror(&mut self, member: i64) -> &mut Mirror {
        self.mirrors.entry(member).or_default()
    }

    /// A process starts with this log. Nothing that was flushed may be missing in it, and nothing be there that nobody logged.
    pub(crate) fn started(
        &mut self,
        member: i64,
        image: Zxid,
        records: &[LogRecord],
        epochs: Epochs,
    ) -> Result<(), Failed> {
        for record in records {
            self.ensure_proposed(member, record)?;
        }
        let mirror = self.mirror(member);
        let known = mirror.epochs;
        ensure(
            epochs.accepted >= known.accepted && epochs.current >= known.current,
            "an epoch that was acknowledged is never taken back",
            || format!("server {member} had {known:?} on disk, and starts with {epochs:?}"),
        )?;
        if !mirror.is_uncertain {
            let found = |record: &LogRecord| {
                record.zxid <= image || records.binary_search_by_key(&record.zxid, |r| r.zxid).is_ok()
            };
            let missing = mirror.records.iter().take(mirror.flushed).find(|record| !found(record));
            ensure(missing.is_none(), "what was flushed is there after a crash", || {
                format!("server {member} has lost {:?}", missing.map(|record| record.zxid))
            })?;
        }
        *mirror =
            Mirror { base: image, records: records.to_vec(), flushed: records.len(), epochs, ..Mirror::default() };
        let agreed = self.ledger.position(image);
        self.mirror(member).agreed = agreed;
        Ok(())
    }

    /// A member's disk is empty from now on.
    pub(crate) fn wiped(&mut self, member: i64) {
        self.mirrors.remove(&member);
    }

    fn ensure_proposed(&self, member: i64, record: &LogRecord) -> Result<(), Failed> {
        let proposed = self.proposed.get(&record.zxid);
        ensure(proposed == Some(record), "nothing is logged that was not proposed", || {
            format!("server {member} has {}, proposed: {}", record.zxid, proposed.is_some())
        })
    }

    /// A member gives records to its disk. What the leader of an epoch is the first to log is its proposal.
    pub(crate) fn appended(&mut self, member: i64, records: &[LogRecord]) -> Result<(), Failed> {
        for record in records {
            let leads = self.begun.get(&record.zxid.epoch()).is_some_and(|(leader, _)| *leader == member);
            if leads && !self.proposed.contains_key(&record.zxid) {
                self.proposed.insert(record.zxid, record.clone());
            }
            self.ensure_proposed(member, record)?;
            let mirror = self.mirror(member);
            if let Some((_, behind)) = &mut mirror.behind_snapshot {
                behind.push(record.clone());
                continue;
            }
            let last = mirror.last();
            ensure(follows(last, record.zxid), "a log has no hole", || {
                format!("server {member} appends {} behind {last}", record.zxid)
            })?;
            mirror.records.push(record.clone());
        }
        Ok(())
    }

    /// Everything that was given to a member's disk before a report is durable up to this record.
    pub(crate) fn flushed(&mut self, member: i64, through: Zxid) {
        let mirror = self.mirror(member);
        let count = mirror.records.partition_point(|record| record.zxid <= through);
        mirror.flushed = mirror.flushed.max(count);
    }

    /// A member's disk begins to cut or to replace its log.
    pub(crate) fn unsettled(&mut self, member: i64) {
        self.mirror(member).is_uncertain = true;
    }

    pub(crate) fn receives_snapshot(&mut self, member: i64, zxid: Zxid) {
        self.mirror(member).behind_snapshot = Some((zxid, Vec::new()));
    }

    pub(crate) fn dropped_snapshot(&mut self, member: i64) {
        self.mirror(member).behind_snapshot = None;
    }

    /// The snapshot, and what was appended behind it, is to take the place of everything.
    pub(crate) fn replaces(&mut self, member: i64) {
        let mirror = self.mirror(member);
        let Some((zxid, behind)) = mirror.behind_snapshot.take() else { return };
        mirror.replaced = std::mem::replace(&mut mirror.records, behind);
        mirror.replaced.truncate(mirror.flushed);
        mirror.replacing = mirror.records.len();
        (mirror.base, mirror.flushed, mirror.is_uncertain) = (zxid, 0, true);
        let agreed = self.ledger.position(zxid);
        self.mirror(member).agreed = agreed;
    }

    /// It has.
    pub(crate) fn installed(&mut self, member: i64) {
        let mirror = self.mirror(member);
        mirror.replaced.clear();
        (mirror.is_uncertain, mirror.flushed) = (false, mirror.flushed.max(mirror.replacing));
    }

    /// A member's log was cut. What is committed may go only where a quorum has it without this member: a leader has counted
    /// neither what this member had logged for it over an earlier connection, nor what it will log again.
    pub(crate) fn cut(
        &mut self,
        member: i64,
        keep: Zxid,
        quorum: impl Fn(&dyn Fn(ServerId) -> bool) -> bool,
    ) -> Result<(), Failed> {
        let committed = self.ledger.last_zxid();
        let mirror = self.mirrors.entry(member).or_default();
        let goes: Vec<LogRecord> =
            mirror.records.iter().filter(|record| record.zxid > keep && record.zxid <= committed).cloned().collect();
        mirror.records.retain(|record| record.zxid <= keep);
        mirror.flushed = mirror.flushed.min(mirror.records.len());
        mirror.is_uncertain = false;
        for record in &goes {
            let known = self.ledger.get(self.ledger.position(record.zxid).saturating_sub(1));
            let has = |id: ServerId| self.mirrors.get(&id.0).is_some_and(|mirror| mirror.has_flushed(record));
            let stays = known.is_none_or(|known| known.record != *record) || quorum(&has);
            ensure(stays, "what is committed is cut only where a quorum has it all the same", || {
                format!("server {member} keeps {keep}, {} goes", record.zxid)
            })?;
        }
        Ok(())
    }

    /// A leader begins an epoch with the history that it has.
    pub(crate) fn begins(&mut self, member: i64, epochs: Epochs) {
        // Before it is current, it is only accepted.
        if epochs.current == epochs.accepted {
            let last = self.mirror(member).last();
            self.begun.entry(epochs.current.0).or_insert((member, last));
        }
    }

    /// A member's epochs are on its disk. An observer that does not log has nothing else there.
    pub(crate) fn persisted(&mut self, member: i64, epochs: Epochs, logs: bool) -> Result<(), Failed> {
        let mirror = self.mirrors.entry(member).or_default();
        let before = std::mem::replace(&mut mirror.epochs, epochs);
        ensure(
            epochs.accepted >= before.accepted && epochs.current >= before.current,
            "an epoch that was acknowledged is never taken back",
            || format!("server {member} had {before:?}, and writes {epochs:?}"),
        )?;
        if epochs.current == before.current || !logs {
            return Ok(());
        }
        let last = mirror.records.get(mirror.flushed.wrapping_sub(1)).map_or(mirror.base, |record| record.zxid);
        let epoch = epochs.current.0;
        let initial = self.begun.get(&epoch).map_or(Zxid::ZERO, |(_, initial)| *initial);
        ensure(last >= initial, "whoever is in an epoch has its initial history on disk", || {
            format!("server {member} joins epoch {epoch} with {last}, which begins behind {initial}")
        })
    }

    /// A member says something that rests on its disk.
    pub(crate) fn says(&self, member: i64, kind: PacketType, zxid: Zxid, epochs: Epochs) -> Result<(), Failed> {
        let Some(mirror) = self.mirrors.get(&member) else { return Ok(()) };
        let stands = match kind {
            PacketType::AckEpoch | PacketType::LeaderInfo => mirror.epochs.accepted >= epochs.accepted,
            PacketType::Ack if zxid.counter() == 0 => mirror.epochs.current >= epochs.current && !mirror.is_uncertain,
            PacketType::Ack => mirror.find(zxid).map_or(zxid <= mirror.base, |(at, _)| at < mirror.flushed),
            _ => true,
        };
        ensure(stands, "what is acknowledged is on disk", || {
            format!("server {member} says {} {zxid} with {:?} on disk", kind.name(), mirror.epochs)
        })
    }

    /// After a step: what the member says of itself. `quorum` tells whether servers are enough, whatever the members think.
    pub(crate) fn look(
        &mut self,
        member: i64,
        peer: &Peer,
        quorum: impl Fn(&dyn Fn(ServerId) -> bool) -> bool,
    ) -> Result<(), Failed> {
        if peer.is_established_leader() {
            let epoch = peer.epochs().current.0;
            let leader = *self.leaders.entry(epoch).or_insert(member);
            ensure(leader == member, "an epoch has one established leader", || {
                format!("servers {leader} and {member} in {epoch}")
            })?;
        }
        self.commit(member, peer.zab().history.committed(), quorum)
    }

    /// A member says that everything up to here is committed.
    fn commit(
        &mut self,
        member: i64,
        through: Zxid,
        quorum: impl Fn(&dyn Fn(ServerId) -> bool) -> bool,
    ) -> Result<(), Failed> {
        let mirror = self.mirror(member);
        if mirror.behind_snapshot.is_some() {
            // Its machine counts from the snapshot on, its disk does not yet.
            return Ok(());
        }
        let from = mirror.agreed;
        if self.ledger.get(from).map_or(through <= self.ledger.last_zxid(), |next| next.record.zxid > through) {
            return Ok(());
        }
        let mirror = self.mirrors.entry(member).or_default();
        let start = match from.checked_sub(1).and_then(|before| self.ledger.get(before)) {
            Some(before) => mirror.records.partition_point(|record| record.zxid <= before.record.zxid),
            None => 0,
        };
        let fresh: Vec<LogRecord> =
            mirror.records.iter().skip(start).take_while(|record| record.zxid <= through).cloned().collect();
        let mut agreed = from;
        for record in fresh {
            match self.ledger.get(agreed) {
                Some(known) => ensure(known.record == record, "all members commit the same in the same order", || {
                    format!("server {member} commits {}, others {}", record.zxid, known.record.zxid)
                })?,
                None => {
                    let mirrors = &self.mirrors;
                    let has = |id: ServerId| mirrors.get(&id.0).is_some_and(|mirror| mirror.has_flushed(&record));
                    ensure(quorum(&has), "what is committed is on the disks of a quorum", || {
                        format!("server {member} commits {}", record.zxid)
                    })?;
                    self.ledger.extend(record)?;
                }
            }
            agreed += 1;
        }
        self.mirror(member).agreed = agreed;
        Ok(())
    }

    /// The order of all as a member believes it to be that takes all it has logged up to here for agreed on. `None` if it
    /// was.
    pub(crate) fn believed(&self, member: i64, through: Zxid) -> Result<Option<Ledger>, Failed> {
        let Some(mirror) = self.mirrors.get(&member) else { return Ok(None) };
        let logged = mirror.records.partition_point(|record| record.zxid <= through);
        let logged = mirror.records.get(..logged).unwrap_or_default();
        let agreed = logged.iter().rposition(|record| self.ledger.has(record)).map_or(0, |last| last + 1);
        let (agreed, open) = logged.split_at(agreed);
        if open.is_empty() {
            return Ok(None);
        }
        let base = agreed.last().map_or(mirror.base, |record| record.zxid);
        self.ledger.continued(base, open).map(Some)
    }

    /// Whether all that one member has on disk is also on another's.
    pub(crate) fn has_all_of(&self, member: i64, of: i64) -> bool {
        let (Some(mirror), Some(of)) = (self.mirrors.get(&member), self.mirrors.get(&of)) else { return false };
        of.records.iter().all(|record| mirror.has_flushed(record))
            && mirror.epochs.accepted >= of.epochs.accepted
            && mirror.last() >= of.last()
    }
}
