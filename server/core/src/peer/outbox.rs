//! Outputs that were not taken yet. What goes to one file or one connection, one behind the other, is one output, so
//! that a batch of requests costs one flush and one write per connection.

use std::collections::BTreeMap;

use bytes::Bytes;
use rookeeper_protocol::types::Zxid;

use super::durability::{Durability, Written};
use super::output::Output;
use crate::zab::{DialId, Epochs, LearnerLink, LogRecord};

/// The outputs, with the places where more may be added.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outputs: Vec<Output>,
    append: Option<usize>,
    to_leader: Option<usize>,
    to_learners: BTreeMap<LearnerLink, usize>,
}

impl Outbox {
    /// Adds an output that nothing is joined to.
    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push(output);
    }

    /// A record for the log.
    pub(super) fn append(&mut self, record: LogRecord, durability: &mut Durability) {
        let zxid = record.zxid;
        if let Some(Output::Append { records, .. }) = self.append.and_then(|at| self.outputs.get_mut(at)) {
            records.push(record);
            return durability.extend(zxid);
        }
        self.append = Some(self.outputs.len());
        let write = durability.begin(Written::Log(zxid));
        self.outputs.push(Output::Append { write, records: vec![record] });
    }

    pub(super) fn persist(&mut self, epochs: Epochs, durability: &mut Durability) {
        let write = durability.begin(Written::Epochs(epochs));
        if planted!(EpochBeforeHistory)
            && let Some(at) = self.append.take()
        {
            self.outputs.insert(at, Output::PersistEpochs { write, epochs });
            self.to_leader = None;
            return self.to_learners.clear();
        }
        self.push_write(Output::PersistEpochs { write, epochs });
    }

    pub(super) fn truncate(&mut self, keep: Zxid, durability: &mut Durability) {
        let write = durability.begin(Written::Replaced);
        self.push_write(Output::Truncate { write, keep });
    }

    pub(super) fn receive_snapshot(&mut self, dial: DialId, zxid: Zxid, durability: &mut Durability) {
        durability.receive();
        self.push_write(Output::ReceiveSnapshot { dial, zxid });
    }

    pub(super) fn install_snapshot(&mut self, durability: &mut Durability) {
        let write = durability.install();
        self.push_write(Output::InstallSnapshot { write });
    }

    pub(super) fn drop_snapshot(&mut self, durability: &mut Durability) {
        let write = durability.drop_received();
        self.push_write(Output::DropSnapshot { write });
    }

    /// A list of members for the disk. A reconfiguration that is logged behind it is not acknowledged before both are there:
    /// a server that starts again must not know the one without the other.
    pub(super) fn members(&mut self, output: Output) {
        self.push_write(output);
    }

    /// A write behind which the log does not go on in the same output.
    fn push_write(&mut self, output: Output) {
        self.append = None;
        self.outputs.push(output);
    }

    /// Packets for the leader. There is one connection to a leader at a time.
    pub(super) fn tell_leader(&mut self, dial: DialId, frame: Bytes) {
        if let Some(Output::ToLeader { dial: open, frames }) = self.to_leader.and_then(|at| self.outputs.get_mut(at))
            && *open == dial
        {
            return frames.push(frame);
        }
        self.to_leader = Some(self.outputs.len());
        self.outputs.push(Output::ToLeader { dial, frames: vec![frame] });
    }

    /// Packets for a learner.
    pub(super) fn tell_learner(&mut self, link: LearnerLink, frame: Bytes) {
        let open = self.to_learners.get(&link).and_then(|at| self.outputs.get_mut(*at));
        if let Some(Output::ToLearner { frames, .. }) = open {
            return frames.push(frame);
        }
        self.to_learners.insert(link, self.outputs.len());
        self.outputs.push(Output::ToLearner { link, frames: vec![frame] });
    }

    /// Something else for a learner's connection, behind what was written to it.
    pub(super) fn push_for_learner(&mut self, link: LearnerLink, output: Output) {
        self.to_learners.remove(&link);
        self.outputs.push(output);
    }

    /// Hands the outputs over.
    pub(super) fn take(&mut self, into: &mut Vec<Output>) {
        into.append(&mut self.outputs);
        (self.append, self.to_leader) = (None, None);
        self.to_learners.clear();
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::WriteId;
    use crate::zab::Epoch;

    fn record(zxid: i64) -> LogRecord {
        LogRecord { zxid: Zxid(zxid), payload: Bytes::new() }
    }

    #[test]
    fn what_goes_the_same_way_goes_together() {
        let (mut outbox, mut durability) = (Outbox::default(), Durability::default());
        let (one, two, frame) = (LearnerLink(1), LearnerLink(2), Bytes::from_static(b"x"));
        outbox.append(record(1), &mut durability);
        outbox.tell_learner(one, frame.clone());
        outbox.append(record(2), &mut durability);
        outbox.tell_learner(two, frame.clone());
        outbox.tell_learner(one, frame.clone());
        let epochs = Epochs { accepted: Epoch(1), current: Epoch(1) };
        outbox.persist(epochs, &mut durability);
        // None of these passes what stands before it.
        outbox.append(record(3), &mut durability);
        let seen = Output::MembersSeen { text: "version=4".to_owned() };
        outbox.members(seen.clone());
        outbox.append(record(4), &mut durability);
        outbox.push_for_learner(one, Output::SendSnapshot { link: one });
        outbox.tell_learner(one, frame.clone());
        outbox.tell_leader(DialId(1), frame.clone());
        outbox.tell_leader(DialId(1), frame.clone());
        outbox.tell_leader(DialId(2), frame.clone());
        let mut outputs = Vec::new();
        outbox.take(&mut outputs);
        let to_learner = |link, count| Output::ToLearner { link, frames: vec![frame.clone(); count] };
        let to_leader = |dial, count| Output::ToLeader { dial: DialId(dial), frames: vec![frame.clone(); count] };
        let expected = [
            Output::Append { write: WriteId(1), records: vec![record(1), record(2)] },
            to_learner(one, 2),
            to_learner(two, 1),
            Output::PersistEpochs { write: WriteId(2), epochs },
            Output::Append { write: WriteId(3), records: vec![record(3)] },
            seen,
            Output::Append { write: WriteId(4), records: vec![record(4)] },
            Output::SendSnapshot { link: one },
            to_learner(one, 1),
            to_leader(1, 2),
            to_leader(2, 1),
        ];
        assert_eq!(outputs, expected);
        assert_eq!(durability.take(WriteId(1)), Some(Written::Log(Zxid(2))));
        outbox.append(record(5), &mut durability);
        outbox.take(&mut outputs);
        assert_eq!(outputs.len(), expected.len() + 1);
    }
}
