//! What read-only servers show: what was agreed on, and, if a server was started anew, what else it has logged. Nobody knows
//! then whether that will be agreed on. Clients are held against the order of all as such a server believes it to be.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Ledger;
use crate::network::PipeId;

/// The orders of all in which something stands that was not agreed on.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    /// What a member shows at present.
    by_member: BTreeMap<i64, Rc<Ledger>>,
    /// What it showed when a client connected: answers may come when all that is over.
    on_pipe: BTreeMap<PipeId, Rc<Ledger>>,
}

impl Shown {
    /// A member begins to show something that was not agreed on.
    pub(crate) fn begins(&mut self, member: i64, ledger: Ledger) {
        self.by_member.insert(member, Rc::new(ledger));
    }

    /// It shows nothing any more.
    pub(crate) fn ends(&mut self, member: i64) {
        self.by_member.remove(&member);
    }

    /// A client has connected to a member.
    pub(crate) fn connected(&mut self, member: i64, pipe: PipeId) {
        if let Some(ledger) = self.by_member.get(&member) {
            self.on_pipe.insert(pipe, ledger.clone());
        }
    }

    /// The connection is gone.
    pub(crate) fn gone(&mut self, pipe: PipeId) {
        self.on_pipe.remove(&pipe);
    }

    /// What answers on a connection are to be held against, if it is not what was agreed on.
    pub(crate) fn seen_on(&self, pipe: PipeId) -> Option<&Ledger> {
        self.on_pipe.get(&pipe).map(|ledger| &**ledger)
    }
}
