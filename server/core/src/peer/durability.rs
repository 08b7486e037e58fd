//! What was given to the disk, and what is on it.
//!
//! The roles are told of a write when it is durable, and only then say what rests on it. Writes have one order, whatever
//! they are: so an epoch is never on disk before the history that it stands for (ZOOKEEPER-4643).

use std::collections::VecDeque;

use rookeeper_protocol::types::Zxid;

use super::output::WriteId;
use crate::zab::Epochs;

/// What a write was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The log up to here.
    Log(Zxid),
    /// Both epochs.
    Epochs(Epochs),
    /// Something else in the place of the log, or of its end; what that is comes with the report.
    Replaced,
    /// Everything as it was.
    Nothing,
}

/// The writes under way.
#[derive(Debug, Default)]
pub(super) struct Durability {
    last: WriteId,
    under_way: VecDeque<(WriteId, Written)>,
    /// What comes behind this write belongs behind a snapshot that is being received.
    receives_behind: Option<WriteId>,
}

impl Durability {
    /// A new write.
    pub(super) fn begin(&mut self, written: Written) -> WriteId {
        self.last = WriteId(self.last.0 + 1);
        self.under_way.push_back((self.last, written));
        self.last
    }

    /// From now on the log is that behind a snapshot, until that takes its place or is dropped.
    pub(super) fn receive(&mut self) {
        self.receives_behind = Some(self.last);
    }

    /// The snapshot takes the place of everything.
    pub(super) fn install(&mut self) -> WriteId {
        self.receives_behind = None;
        self.begin(Written::Replaced)
    }

    /// The snapshot is dropped, and what was written behind it says nothing of the log that is there.
    pub(super) fn drop_received(&mut self) -> WriteId {
        if let Some(behind) = self.receives_behind.take() {
            let is_behind =
                |(write, written): &&mut (WriteId, Written)| *write > behind && matches!(written, Written::Log(_));
            let logged = self.under_way.iter_mut().filter(is_behind);
            logged.for_each(|(_, written)| *written = Written::Nothing);
        }
        self.begin(Written::Nothing)
    }

    /// The last write, of the log, got longer before it was handed out.
    pub(super) fn extend(&mut self, zxid: Zxid) {
        if let Some((_, Written::Log(last))) = self.under_way.back_mut() {
            *last = zxid;
        }
    }

    /// Takes what is durable, one after the other.
    ///
    /// Of epochs only the last ones under way count. A server may have asked for the same ones twice, for one leader and two
    /// connections to it: the first report says nothing of what was appended before the second (ZOOKEEPER-3911).
    pub(super) fn take(&mut self, through: WriteId) -> Option<Written> {
        let (_, written) = self.under_way.pop_front_if(|(write, _)| *write <= through)?;
        let is_outdated = matches!(written, Written::Epochs(_))
            && self.under_way.iter().any(|(_, later)| matches!(later, Written::Epochs(_)));
        Some(if is_outdated { Written::Nothing } else { written })
    }

    /// Whether something under way changes where the log ends.
    pub(super) fn is_log_uncertain(&self) -> bool {
        self.under_way.iter().any(|(_, written)| *written == Written::Replaced)
    }

    /// The newest write.
    pub(super) fn last(&self) -> WriteId {
        self.last
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::zab::Epoch;

    #[test]
    fn writes_become_durable_in_the_order_in_which_they_were_asked_for() {
        let mut durability = Durability::default();
        let epochs = Epochs { accepted: Epoch(2), current: Epoch(1) };
        assert_eq!(durability.begin(Written::Log(Zxid(5))), WriteId(1));
        durability.extend(Zxid(6));
        assert_eq!(durability.begin(Written::Epochs(epochs)), WriteId(2));
        // An epoch is no log that could get longer.
        durability.extend(Zxid(7));
        assert_eq!(durability.begin(Written::Log(Zxid(8))), WriteId(3));
        assert_eq!(durability.take(WriteId(0)), None);
        assert_eq!(durability.take(WriteId(2)), Some(Written::Log(Zxid(6))));
        assert_eq!(durability.take(WriteId(2)), Some(Written::Epochs(epochs)));
        assert_eq!(durability.take(WriteId(2)), None);
        assert_eq!(durability.take(WriteId(9)), Some(Written::Log(Zxid(8))));
        for _ in 0..2 {
            durability.begin(Written::Epochs(epochs));
            durability.begin(Written::Log(Zxid(9)));
        }
        let taken = [(); 4].map(|()| durability.take(WriteId(99)).unwrap());
        let log = Written::Log(Zxid(9));
        assert_eq!(taken, [Written::Nothing, log, Written::Epochs(epochs), log]);
        durability.install();
        assert!(durability.is_log_uncertain());
        durability.take(WriteId(99));
        assert!(!durability.is_log_uncertain());
    }

    #[test]
    fn what_was_written_behind_a_dropped_snapshot_is_no_part_of_the_log() {
        let mut durability = Durability::default();
        durability.begin(Written::Log(Zxid(5)));
        durability.receive();
        durability.begin(Written::Log(Zxid(9)));
        durability.drop_received();
        durability.begin(Written::Log(Zxid(6)));
        let taken = [(); 4].map(|()| durability.take(WriteId(99)).unwrap());
        assert_eq!(taken, [Written::Log(Zxid(5)), Written::Nothing, Written::Nothing, Written::Log(Zxid(6))]);
    }
}
