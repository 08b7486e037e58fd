//! Epochs: the terms of leaders, and the rules by which a server goes from one to the next.
//!
//! A server *accepts* an epoch when it promises to hear no older leader any more, and makes it *current* when it has
//! taken over that epoch's initial history. Both are on disk before anybody is told (`QuorumPeer#acceptedEpoch`,
//! `#currentEpoch`).

use std::fmt;

use rookeeper_protocol::types::Zxid;

/// The term of a leader: the high half of its zxids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The last one: zxids are signed.
    pub const MAX: Epoch = Epoch(i32::MAX as u32);

    /// The epoch of a zxid; `None` for what no leader ever numbered.
    pub fn of(zxid: Zxid) -> Option<Self> {
        (zxid >= Zxid::ZERO).then(|| Self(zxid.epoch()))
    }

    /// The epoch that a learner says it has accepted, by the zxid of its first packet. A server of Apache ZooKeeper that does
    /// not know its data says -1, and has accepted none (`QuorumPeer#loadDataBase`).
    pub fn told_by(zxid: Zxid) -> Option<Self> {
        if zxid == Zxid::new(u32::MAX, 0) { Some(Self(0)) } else { Self::of(zxid) }
    }

    /// The zxid that stands for the epoch's beginning; no transaction has it.
    pub fn start(self) -> Zxid {
        Zxid::new(self.0, 0)
    }

    /// The next epoch; `None` when there is none.
    pub fn next(self) -> Option<Self> {
        (self < Self::MAX).then(|| Self(self.0 + 1))
    }
}

/// Prints as Java does, in decimal.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The two epochs of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epochs {
    /// The newest epoch that was promised to a leader.
    pub accepted: Epoch,
    /// The epoch whose initial history is this server's.
    pub current: Epoch,
}

/// What a learner makes of the epoch that its leader offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is new: accept it, durably, and acknowledge it.
    New,
    /// It was accepted before. The leader may go on, but cannot count this server a second time
    /// (`Learner#registerWithLeader`).
    Known,
    /// A newer one was accepted: leave this leader.
    Old,
}

impl Epochs {
    /// Judges an epoch offered by a leader.
    // zab: FollowerProcessLEADERINFO
    pub fn judge(&self, offered: Epoch) -> Offer {
        match offered.cmp(&self.accepted) {
            std::cmp::Ordering::Greater => Offer::New,
            std::cmp::Ordering::Equal => Offer::Known,
            std::cmp::Ordering::Less => Offer::Old,
        }
    }
}

/// How new a server's history is: first by its current epoch, then by its last zxid (`StateSummary#isMoreRecentThan`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateSummary {
    /// The current epoch.
    pub epoch: Epoch,
    /// The last zxid of the log.
    pub last_zxid: Zxid,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn epochs_are_the_high_half_of_zxids() {
        assert_eq!(Epoch::of(Zxid(0x7_0000_0009)), Some(Epoch(7)));
        assert_eq!(Epoch::of(Zxid(-1)), None);
        assert_eq!(Epoch::told_by(Zxid(-1 << 32)), Some(Epoch(0)));
        assert_eq!(Epoch::told_by(Zxid(0x7_0000_0000)), Some(Epoch(7)));
        assert_eq!([-2 << 32, -1].map(|zxid| Epoch::told_by(Zxid(zxid))), [None, None]);
        assert_eq!(Epoch(7).start(), Zxid(0x7_0000_0000));
        assert_eq!(Epoch(7).next(), Some(Epoch(8)));
        // Behind the last one zxids would be negative.
        assert!(Epoch::MAX.start() > Zxid::ZERO);
        assert_eq!(Epoch::MAX.next(), None);
    }

    #[test]
    fn an_epoch_is_accepted_once_and_never_taken_back() {
        let epochs = Epochs { accepted: Epoch(5), current: Epoch(4) };
        assert_eq!([4, 5, 6].map(|offered| epochs.judge(Epoch(offered))), [Offer::Old, Offer::Known, Offer::New]);
    }

    #[test]
    fn histories_are_compared_by_epoch_first() {
        let summary = |epoch, zxid| StateSummary { epoch: Epoch(epoch), last_zxid: Zxid(zxid) };
        assert!(summary(3, 1) > summary(2, 9));
        assert!(summary(3, 9) > summary(3, 8));
    }
}
