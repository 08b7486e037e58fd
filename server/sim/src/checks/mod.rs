//! What must hold, judged from outside: from what members do, not from what they believe.
//!
//! `zab.rs` has the properties of the agreement, `ledger.rs` the order that they are about, `mortal.rs` what goes by itself, `alive.rs` when sessions may end, `shown.rs` what
//! read-only servers show, `end.rs` what must be the case once all faults are over. What clients see is judged in `client/history.rs`, against the same order.

mod alive;
mod end;
mod ledger;
mod mortal;
mod shown;
mod zab;

use std::fmt::Display;

pub(crate) use alive::Alive;
pub(crate) use end::compare_members;
pub(crate) use ledger::{Ledger, State};
pub(crate) use shown::Shown;
pub(crate) use zab::Zab;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Failed {
    /// What should be, in words.
    pub rule: String,
    /// What was found instead.
    pub detail: String,
}

impl Failed {
    pub(crate) fn new(rule: impl Display, detail: impl Display) -> Self {
        Self { rule: rule.to_string(), detail: detail.to_string() }
    }
}

/// Checks one rule.
pub(crate) fn ensure<D: Display>(holds: bool, rule: &str, detail: impl FnOnce() -> D) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(Failed::new(rule, detail())) }
}
