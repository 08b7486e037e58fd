//! The alarm when a tree is not what others have (`DataTree#reportDigestMismatch`).

use parking_lot::Mutex;
use rookeeper_core::tree::DigestMismatch;

/// The alarm is given at once, and then at most this often: a tree that is another one stays so, and each transaction
/// says it again. In milliseconds.
const PAUSE_MS: i64 = 60_000;

/// Knows what was told.
#[derive(Debug, Default)]
pub(super) struct DigestAlarm(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    /// When the last line was written, in monotonic milliseconds.
    at_ms: Option<i64>,
    /// Transactions since then.
    since: u64,
}

impl DigestAlarm {
    /// What operators must read, if it is time to tell them.
    pub(super) fn raised(&self, mismatch: &DigestMismatch, now_ms: i64) -> Option<String> {
        let mut told = self.0.lock();
        told.since += mismatch.count;
        if told.at_ms.is_some_and(|at_ms| now_ms - at_ms < PAUSE_MS) {
            return None;
        }
        let count = std::mem::take(&mut told.since);
        told.at_ms = Some(now_ms);
        let DigestMismatch { zxid, expected, found, .. } = mismatch;
        Some(format!(
            "DIGEST MISMATCH: the tree of this server is not the one that the transactions were made for. Behind {zxid} \
             its digest is {found:#x}, and should be {expected:#x}; {count} such transactions since the last of these lines. \
             Clients of this server may read what others do not: stop it, keep its data folder for those who look for the \
             reason, and let it start with an empty one while a quorum of the others runs"
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rookeeper_protocol::types::Zxid;

    #[test]
    fn a_burst_is_told_once_and_again_every_minute_while_it_lasts() {
        let alarm = DigestAlarm::default();
        let mismatch = |zxid, count| DigestMismatch { zxid: Zxid(zxid), expected: 10, found: 11, count };
        let first = alarm.raised(&mismatch(5, 2), 1000).unwrap();
        assert!(first.contains("Behind 0x5 its digest is 0xb, and should be 0xa; 2 such"), "{first}");
        for at_ms in [1000, 30_000, 60_999] {
            assert_eq!(alarm.raised(&mismatch(6, 3), at_ms), None);
        }
        let second = alarm.raised(&mismatch(9, 1), 61_000).unwrap();
        assert!(second.contains("Behind 0x9") && second.contains("; 10 such"), "{second}");
        // A new burst, long after.
        assert!(alarm.raised(&mismatch(20, 1), 500_000).unwrap().contains("; 1 such"));
    }
}
