//! The limit on new sessions (`BlueThrottle`): a bucket of tokens, and a probability of being dropped.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::ConnectionThrottle;

/// A throttle that all handshakes ask.
#[derive(Debug, Clone)]
pub(super) struct Throttle {
    rules: ConnectionThrottle,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    tokens: i32,
    filled_ms: i64,
    drop_chance: f64,
    frozen_ms: i64,
    random: u64,
}

/// What a handshake is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// A new session.
    New,
    /// A session that comes back.
    Renew,
}

impl Throttle {
    pub(super) fn new(rules: ConnectionThrottle, now_ms: i64, seed: u64) -> Self {
        let state =
            State { tokens: rules.tokens, filled_ms: now_ms, drop_chance: 0.0, frozen_ms: now_ms, random: seed | 1 };
        Self { rules, state: Arc::new(Mutex::new(state)) }
    }

    /// Tokens that are missing from a full bucket.
    pub(super) fn deficit(&self) -> i32 {
        self.rules.tokens - self.state.lock().tokens
    }

    /// The probability with which a handshake is dropped.
    pub(super) fn drop_chance(&self) -> f64 {
        self.state.lock().drop_chance
    }

    /// Whether this handshake may go on.
    pub(super) fn admits(&self, handshake: Handshake, now_ms: i64) -> bool {
        let rules = &self.rules;
        if rules.tokens == 0 {
            return true;
        }
        let needed = match (rules.weights, handshake) {
            (None, _) => 1,
            (Some(weights), Handshake::New) => weights.global,
            (Some(weights), Handshake::Renew) => weights.renew,
        };
        let mut state = self.state.lock();
        let state = &mut *state;
        let elapsed = now_ms - state.filled_ms;
        if elapsed > i64::from(rules.fill_time_ms) {
            let refills = elapsed / i64::from(rules.fill_time_ms.max(1));
            let added = refills.saturating_mul(i64::from(rules.fill_count));
            state.tokens = i64::from(state.tokens).saturating_add(added).min(i64::from(rules.tokens)) as i32;
            state.filled_ms = now_ms;
        }
        if rules.freeze_time_ms != -1 {
            if now_ms - state.frozen_ms > i64::from(rules.freeze_time_ms) {
                state.adjust(rules);
                state.frozen_ms = now_ms;
            }
            if state.next_random() < state.drop_chance {
                return false;
            }
        }
        if state.tokens < needed {
            return false;
        }
        state.tokens -= needed;
        true
    }
}

impl State {
    /// The chance of being dropped rises while the bucket is empty and falls while it is well filled.
    fn adjust(&mut self, rules: &ConnectionThrottle) {
        if self.tokens == 0 && self.drop_chance < 1.0 {
            self.drop_chance = (self.drop_chance + rules.drop_increase).min(1.0);
        } else if f64::from(self.tokens) > f64::from(rules.tokens) * rules.decrease_ratio && self.drop_chance > 0.0 {
            self.drop_chance = (self.drop_chance - rules.drop_decrease).max(0.0);
        }
    }

    /// A number from 0 to 1 (xorshift: nothing here needs better).
    fn next_random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_run_out_and_come_back() {
        let rules = ConnectionThrottle {
            tokens: 2,
            fill_time_ms: 10,
            fill_count: 1,
            freeze_time_ms: -1,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            weights: None,
        };
        let throttle = Throttle::new(rules, 0, 1);
        let asked = [0, 0, 0, 10, 11, 12, 100, 100, 100].map(|now_ms| throttle.admits(Handshake::New, now_ms));
        assert_eq!(asked, [true, true, false, false, true, false, true, true, false]);
        assert!(Throttle::new(ConnectionThrottle { tokens: 0, ..rules }, 0, 1).admits(Handshake::Renew, 0));
    }
}
