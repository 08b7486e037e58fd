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
    /// A new session that only this server knows.
    NewLocal,
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
            (Some(weights), Handshake::NewLocal) => weights.local,
            (Some(weights), Handshake::Renew) => weights.renew,
        };
        let mut state = self.state.lock();
        let state = &mut *state;
        let elapsed = now_ms - state.filled_ms;
        if elapsed > i64::from(rules.fill_time_ms) {
            // Multiplied first, so that parts of a refill count. Java does not start to divide by 0.
            let fill_time_ms = if rules.fill_time_ms == 0 { 1 } else { i64::from(rules.fill_time_ms) };
            let added = elapsed.wrapping_mul(i64::from(rules.fill_count)) / fill_time_ms;
            let tokens = i64::from(state.tokens).wrapping_add(added).min(i64::from(rules.tokens)) as i32;
            // Numbers that make no sense fill the bucket.
            state.tokens = if tokens < 0 { rules.tokens } else { tokens };
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
    /// The chance of being dropped rises while the bucket is empty, and falls while no more than a share of it is missing.
    fn adjust(&mut self, rules: &ConnectionThrottle) {
        let missing = i64::from(rules.tokens) - i64::from(self.tokens);
        // Java's rounding, which is up from the middle.
        let missing_max = (f64::from(rules.tokens) * rules.decrease_ratio + 0.5).floor() as i64;
        if self.tokens == 0 && self.drop_chance < 1.0 {
            self.drop_chance = (self.drop_chance + rules.drop_increase).min(1.0);
        } else if missing <= missing_max && self.drop_chance > 0.0 {
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
    use crate::config::SessionWeights;

    const RULES: ConnectionThrottle = ConnectionThrottle {
        tokens: 2,
        fill_time_ms: 10,
        fill_count: 1,
        freeze_time_ms: -1,
        drop_increase: 0.02,
        drop_decrease: 0.002,
        decrease_ratio: 0.0,
        weights: None,
    };

    #[test]
    fn tokens_run_out_and_come_back() {
        let throttle = Throttle::new(RULES, 0, 1);
        let asked = [0, 0, 0, 10, 11, 12, 100, 100, 100].map(|now_ms| throttle.admits(Handshake::New, now_ms));
        assert_eq!(asked, [true, true, false, false, true, false, true, true, false]);
        assert!(Throttle::new(ConnectionThrottle { tokens: 0, ..RULES }, 0, 1).admits(Handshake::Renew, 0));
    }

    #[test]
    fn parts_of_a_refill_count() {
        let throttle = Throttle::new(ConnectionThrottle { tokens: 10, fill_count: 4, ..RULES }, 0, 1);
        for _ in 0..10 {
            assert!(throttle.admits(Handshake::New, 0));
        }
        // 15 ms at 4 tokens in 10 ms.
        let admitted = (0..10).filter(|_| throttle.admits(Handshake::New, 15)).count();
        assert_eq!(admitted, 6);
    }

    #[test]
    fn handshakes_cost_by_what_they_are_for() {
        let weights = SessionWeights { global: 5, renew: 3, local: 2 };
        let rules = ConnectionThrottle { tokens: 10, weights: Some(weights), ..RULES };
        for (handshake, cost) in [(Handshake::New, 5), (Handshake::Renew, 3), (Handshake::NewLocal, 2)] {
            let throttle = Throttle::new(rules, 0, 1);
            assert!(throttle.admits(handshake, 0));
            assert_eq!(throttle.deficit(), cost, "{handshake:?}");
            let plain = Throttle::new(ConnectionThrottle { weights: None, ..rules }, 0, 1);
            assert!(plain.admits(handshake, 0));
            assert_eq!(plain.deficit(), 1, "{handshake:?}");
        }
        // What is left is not enough for the dearest, but for the others.
        let throttle = Throttle::new(ConnectionThrottle { tokens: 4, ..rules }, 0, 1);
        let asked = [Handshake::New, Handshake::Renew, Handshake::NewLocal].map(|kind| throttle.admits(kind, 0));
        assert_eq!(asked, [false, true, false]);
    }

    #[test]
    fn the_chance_of_being_dropped_rises_with_an_empty_bucket_alone() {
        let rules = ConnectionThrottle {
            tokens: 4,
            fill_time_ms: 1_000_000,
            freeze_time_ms: 10,
            drop_increase: 0.25,
            drop_decrease: 0.5,
            ..RULES
        };
        let throttle = Throttle::new(rules, 0, 1);
        for _ in 0..4 {
            assert!(throttle.admits(Handshake::New, 0));
        }
        let mut chances = Vec::new();
        // Frozen until more than 10 ms have passed since it changed.
        for now_ms in [10, 11, 21, 22, 33, 44, 55] {
            assert!(!throttle.admits(Handshake::New, now_ms));
            chances.push(throttle.drop_chance());
        }
        assert_eq!(chances, [0.0, 0.25, 0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn the_chance_falls_while_little_is_missing() {
        // Of five tokens 2.5 may be missing, which is rounded to three.
        for (tokens, falls) in [(5, true), (3, true), (2, true), (1, false), (0, false)] {
            let rules = ConnectionThrottle { tokens: 5, decrease_ratio: 0.5, drop_decrease: 0.25, ..RULES };
            let mut state = State { tokens, filled_ms: 0, drop_chance: 1.0, frozen_ms: 0, random: 1 };
            state.adjust(&rules);
            assert_eq!(state.drop_chance < 1.0, falls, "{tokens} of 5 tokens");
            // By default only with a full bucket.
            let mut state = State { tokens, filled_ms: 0, drop_chance: 1.0, frozen_ms: 0, random: 1 };
            state.adjust(&ConnectionThrottle { decrease_ratio: 0.0, ..rules });
            assert_eq!(state.drop_chance < 1.0, tokens == 5, "{tokens} of 5 tokens");
        }
    }

    #[test]
    fn handshakes_are_dropped_at_random_though_there_are_tokens() {
        let rules = ConnectionThrottle { tokens: i32::MAX, freeze_time_ms: i32::MAX, ..RULES };
        let throttle = Throttle::new(rules, 0, 1);
        throttle.state.lock().drop_chance = 0.3;
        let dropped = (0..10_000).filter(|_| !throttle.admits(Handshake::New, 0)).count();
        assert!((2_700..3_300).contains(&dropped), "{dropped} of 10000");
    }
}
