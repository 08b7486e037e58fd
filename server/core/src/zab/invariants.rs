//! What holds between any two steps, whatever came from outside. Tests and the simulator look after each step; a server
//! does not, since most of it walks everything that is under way.

use rookeeper_protocol::types::Zxid;
use thiserror::Error;

use super::epoch::Epoch;
use super::history::follows;
use super::leader::{Leader, Phase, Stage};
use super::learner::Learner;
use super::state::State;

/// A rule that is broken: a mistake in the code, never in what came from outside.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{rule}: {detail}")]
pub struct Violation {
    /// The rule, in the words of what should be.
    pub rule: &'static str,
    /// What was found instead.
    pub detail: String,
}

/// Checks one rule.
pub fn require(holds: bool, rule: &'static str, detail: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { rule, detail: detail() }) }
}

impl State {
    /// Checks epochs and history.
    pub fn validate(&self) -> Result<(), Violation> {
        let (history, epochs) = (&self.history, &self.epochs);
        let last = history.last_logged();
        require(epochs.current <= epochs.accepted, "an epoch is accepted before it is current", || {
            format!("{epochs:?}")
        })?;
        let epoch = Epoch::of(last);
        require(
            epoch.is_some_and(|epoch| epoch <= epochs.accepted),
            "nothing is logged of an epoch that was not accepted",
            || format!("{last}, {epochs:?}"),
        )?;
        let (durable, committed) = (history.durable(), history.committed());
        require(durable <= last && committed <= last, "what is durable or committed was logged", || {
            format!("durable {durable}, committed {committed}, logged {last}")
        })?;
        let mut before = None;
        for record in history.window_after(Zxid(i64::MIN)) {
            let joins = before.is_none_or(|before| follows(before, record.zxid));
            require(joins, "the window has no gap", || format!("{} behind {before:?}", record.zxid))?;
            before = Some(record.zxid);
        }
        require(before.is_none_or(|before| before == last), "the window ends where the log does", || {
            format!("{before:?}, {last}")
        })
    }
}

impl Leader {
    /// Checks the leader against its server's state.
    pub fn validate(&self, state: &State) -> Result<(), Violation> {
        let (stage, history) = (self.stage(), &state.history);
        let epoch = self.epoch().unwrap_or_default();
        if stage >= Stage::Synchronizing {
            require(state.epochs.current == epoch, "a leader tells only of its current epoch", || {
                format!("{epoch}, {:?}", state.epochs)
            })?;
        }
        if stage == Stage::Broadcasting && !self.relays() {
            let (proposed, logged) = (self.last_proposed(), history.last_logged());
            require(proposed == logged || !self.has_proposed(), "what is proposed is logged", || {
                format!("{proposed}, {logged}")
            })?;
            let committed = history.committed();
            require(committed <= proposed, "what is committed was proposed", || format!("{committed}, {proposed}"))?;
        }
        for (link, learner) in self.learners() {
            let found = || format!("{link:?} is {:?} while the leader is {stage:?}", learner.phase);
            let allowed = match learner.phase {
                Phase::Connected | Phase::Introduced => true,
                Phase::Informed | Phase::Acknowledged => stage >= Stage::Gathering,
                Phase::UpToDate => stage == Stage::Broadcasting,
                _ => stage >= Stage::Synchronizing,
            };
            require(allowed, "no learner is ahead of its leader", found)?;
            let told = learner.phase >= Phase::Synchronizing && learner.sent > history.last_logged();
            require(!told, "a learner is told what the leader has", || format!("{link:?} was sent {}", learner.sent))?;
            require(
                learner.acked.is_none_or(|acked| acked <= learner.sent),
                "only what was sent is acknowledged",
                || format!("{link:?}: {:?} of {}", learner.acked, learner.sent),
            )?;
        }
        Ok(())
    }
}

impl Learner {
    /// Checks the learner against its server's state.
    pub fn validate(&self, state: &State) -> Result<(), Violation> {
        use super::learner::Stage;
        let (stage, history, epochs) = (self.stage(), &state.history, state.epochs);
        if let Some(epoch) = self.epoch() {
            let follows = epochs.accepted == epoch || (!self.follows() && epochs.accepted > epoch);
            require(follows, "a follower follows in the epoch that it accepted last", || {
                format!("{epoch}, {epochs:?}")
            })?;
            require(
                stage < Stage::Adopting || epochs.current == epoch || (state.is_ahead_of_log && !self.follows()),
                "a learner serves in its current epoch",
                || format!("{epoch}, {epochs:?}"),
            )?;
        }
        if stage < Stage::Copying {
            return Ok(());
        }
        let told = self.told_committed();
        let mut before = told;
        for zxid in self.uncommitted() {
            require(follows(before, zxid), "proposals wait in order", || format!("{zxid} behind {before}"))?;
            before = zxid;
        }
        require(before == history.last_logged(), "what is not committed is proposed", || {
            format!("{before}, {}", history.last_logged())
        })?;
        let committed = history.committed();
        let believed = stage != Stage::Serving || committed == told;
        require(believed && committed <= told, "a commit is believed when the leader has a quorum", || {
            format!("{stage:?}: {committed}, told {told}")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::zab::testing::{state, z};
    use crate::zab::{Epochs, LogRecord};
    use bytes::Bytes;

    fn broken(check: impl FnOnce(&mut State)) -> &'static str {
        let mut state = state(1, z(1, 1), &[z(1, 1), z(1, 2)]);
        state.validate().unwrap();
        check(&mut state);
        state.validate().unwrap_err().rule
    }

    #[test]
    fn broken_rules_are_found() {
        let epochs = |accepted, current| Epochs { accepted: Epoch(accepted), current: Epoch(current) };
        assert_eq!(broken(|state| state.epochs = epochs(1, 2)), "an epoch is accepted before it is current");
        assert_eq!(broken(|state| state.epochs = epochs(0, 0)), "nothing is logged of an epoch that was not accepted");
        let record = LogRecord { zxid: z(1, 4), payload: Bytes::new() };
        assert_eq!(broken(|state| state.history.append(record)), "the window has no gap");
    }
}
