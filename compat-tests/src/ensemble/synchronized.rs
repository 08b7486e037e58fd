//! How a member came to have what the leader has: told by the logs of whichever of the two says so.

use super::Ensemble;
use crate::server::Kind;

/// The three ways of `LearnerHandler#syncFollower`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What it missed was sent.
    Diff,
    /// What nobody else had was taken back first.
    Trunc,
    /// The whole tree was sent.
    Snap,
}

/// What a learner says (`Learner#syncWithLeader`).
const LEARNER: [(&str, Way); 3] = [
    ("Getting a diff from the leader", Way::Diff),
    ("Truncating log to get in sync with the leader", Way::Trunc),
    ("Getting a snapshot from leader", Way::Snap),
];

/// What a leader says (`LearnerHandler`).
const LEADER: [(&str, Way); 3] =
    [("Sending DIFF zxid", Way::Diff), ("Sending TRUNC ", Way::Trunc), ("Sending snapshot last zxid", Way::Snap)];

/// Where the logs of a leader and a learner end, before the learner joins.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    leader: (u8, usize),
    learner: (u8, usize),
}

impl Ensemble {
    /// Remembers where the logs of the two end.
    pub fn mark(&self, leader: u8, learner: u8) -> Mark {
        let end = |id| (id, self.server(id).log_text().len());
        Mark { leader: end(leader), learner: end(learner) }
    }

    /// How the learner was synchronized first since the mark; `None` when neither of the two is Apache ZooKeeper, whose
    /// words are known.
    pub fn way_since(&self, mark: Mark) -> Result<Option<Way>, String> {
        let ((leader, leader_from), (learner, learner_from)) = (mark.leader, mark.learner);
        let (id, from, words) = if self.server(learner).kind() != Kind::Ours {
            (learner, learner_from, LEARNER)
        } else if self.server(leader).kind() != Kind::Ours {
            (leader, leader_from, LEADER)
        } else {
            return Ok(None);
        };
        let text = self.server(id).log_text();
        let said = text.get(from..).unwrap_or_default();
        let found = said.lines().find_map(|line| words.iter().find(|(word, _)| line.contains(word)));
        match found {
            Some((_, way)) => Ok(Some(*way)),
            None => Err(self.server(id).broken(&format!("does not tell how {learner} was synchronized with {leader}"))),
        }
    }
}
