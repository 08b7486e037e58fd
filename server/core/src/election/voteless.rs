//! Servers without a vote that ask who leads.

use std::collections::BTreeMap;

use rookeeper_protocol::types::ServerId;

/// How many of them are remembered at most. The others ask again.
const VOTELESS_MAX: usize = 256;

/// Those that have asked.
///
/// Java answers each of their messages, so that two servers of which neither takes the other for a voter answer each
/// other's answers for ever, and every repeated vote adds one more message to those that go to and fro.
#[derive(Debug, Clone, Default)]
pub(super) struct Voteless {
    asked: BTreeMap<ServerId, Asked>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    /// Until then it hears nothing more (monotonic milliseconds).
    until_ms: i64,
    /// It has asked while nothing was decided.
    waits: bool,
}

impl Voteless {
    /// One asks. True if it is answered: not more often than once in so many milliseconds.
    pub(super) fn asks(&mut self, from: ServerId, now_ms: i64, pause_ms: i64, looking: bool) -> bool {
        if let Some(asked) = self.asked.get_mut(&from).filter(|asked| now_ms < asked.until_ms) {
            asked.waits |= looking;
            return false;
        }
        if self.asked.len() >= VOTELESS_MAX {
            self.asked.retain(|_, asked| asked.waits || now_ms < asked.until_ms);
        }
        let has_room = self.asked.len() < VOTELESS_MAX || self.asked.contains_key(&from);
        if has_room {
            self.asked.insert(from, Asked { until_ms: now_ms.saturating_add(pause_ms), waits: looking });
        }
        has_room
    }

    /// Something is decided: those who are to be told.
    pub(super) fn take_waiting(&mut self) -> impl Iterator<Item = ServerId> {
        self.asked.iter_mut().filter_map(|(id, asked)| std::mem::take(&mut asked.waits).then_some(*id))
    }
}
