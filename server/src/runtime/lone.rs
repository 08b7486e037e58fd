//! Whether one client has the server to itself.
//!
//! Its requests may be carried out where they were read, which spares it the wake-up of another thread. With others about,
//! that would keep them waiting, and the groups of writes would be small.

use rookeeper_core::pipeline::WriteRequest;
use rookeeper_core::watch::ConnId;

/// Requests of others between two turns that are as good as none.
const OTHERS_MAX: u64 = 4;

/// Turns in a row that it takes to believe it, and those that are remembered.
const TURNS: u8 = 8;
const TURNS_MAX: u8 = 2 * TURNS;

/// Turns that one makes up for in which others came.
const TURNS_LOST: u8 = 4;

/// What was seen of a server's clients.
#[derive(Debug, Default)]
pub(crate) struct LoneClient {
    conn: Option<ConnId>,
    received: u64,
    turns: u8,
}

impl LoneClient {
    /// A turn takes these requests; the server has received so many in all.
    pub(crate) fn note(&mut self, requests: &[WriteRequest], received: u64) {
        let Some(first) = requests.first() else { return };
        let others = received.wrapping_sub(self.received).saturating_sub(requests.len() as u64);
        self.received = received;
        let conn = first.origin.conn;
        let same = conn == self.conn && requests.iter().all(|request| request.origin.conn == conn);
        self.conn = conn;
        self.turns = if conn.is_some() && same && others <= OTHERS_MAX {
            (self.turns + 1).min(TURNS_MAX)
        } else {
            self.turns.saturating_sub(TURNS_LOST)
        };
    }

    /// Whether nobody else comes.
    pub(crate) fn is_alone(&self) -> bool {
        self.turns >= TURNS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use rookeeper_core::pipeline::Origin;
    use rookeeper_protocol::types::{OpCode, SessionId};

    use super::*;

    fn of(conn: u32) -> WriteRequest {
        let (session, op) = (SessionId(1), OpCode::SetData);
        let origin = Origin { conn: Some(ConnId(conn)), learner: None, session, xid: 1, op, received_ms: 0 };
        WriteRequest { origin, ids: Arc::from([]), body: Bytes::new() }
    }

    fn alone_after(turns: impl IntoIterator<Item = (Vec<WriteRequest>, u64)>) -> bool {
        let mut client = LoneClient::default();
        let mut received = 0;
        for (requests, more) in turns {
            received += more;
            client.note(&requests, received);
        }
        client.is_alone()
    }

    #[test]
    fn one_client_is_believed_to_be_alone_after_a_while() {
        let turn = || (vec![of(7), of(7)], 2);
        assert!(!alone_after((0..TURNS).map(|_| turn())));
        assert!(alone_after((0..=TURNS).map(|_| turn())));
        // It may read, too.
        assert!(alone_after((0..=TURNS).map(|_| (vec![of(7)], 2))));
    }

    #[test]
    fn nobody_is_alone_among_others() {
        assert!(!alone_after((0..100).map(|turn| (vec![of(turn % 2)], 1))));
        assert!(!alone_after((0..100).map(|_| (vec![of(1), of(2)], 2))));
        // Those who only read count.
        assert!(!alone_after((0..100).map(|_| (vec![of(1)], 20))));
        // Nor is the server itself a client.
        let own = WriteRequest::expire(SessionId(1), 0);
        assert!(!alone_after((0..100).map(|_| (vec![own.clone()], 1))));
    }

    #[test]
    fn a_word_of_another_now_and_then_is_made_up_for() {
        let alone = (0..100).map(|_| (vec![of(7)], 1));
        let disturbed = [(vec![of(7)], 20)];
        assert!(alone_after(alone.clone().chain(disturbed.clone())));
        let often = disturbed.iter().cycle().take(3).cloned();
        assert!(!alone_after(alone.chain(often)));
    }
}
