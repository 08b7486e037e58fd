//! New session ids (`SessionTrackerImpl#initializeNextSessionId`).

use rookeeper_protocol::types::SessionId;

/// Gives out session ids, counting up from one that the server's id and its clock make unique.
#[derive(Debug, Clone)]
pub struct SessionIds {
    next: i64,
}

impl SessionIds {
    /// `server_id` becomes the high byte, the low forty bits of the clock (in milliseconds) the next five.
    pub fn new(server_id: u8, now_ms: i64) -> Self {
        let next = ((now_ms << 24) as u64 >> 8) as i64 | (i64::from(server_id) << 56);
        // The owner of containers is no session.
        Self { next: if next == i64::MIN { next + 1 } else { next } }
    }

    /// The next id.
    pub fn next_id(&mut self) -> SessionId {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        SessionId(id)
    }

    /// Keeps clear of an id that is in use: clocks may restart, sessions outlive their server.
    pub fn skip(&mut self, used: SessionId) {
        if used.0 >> 56 == self.next >> 56 && used.0 >= self.next {
            self.next = used.0.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_server_and_clock() {
        let mut ids = SessionIds::new(1, 0x12345);
        assert_eq!(ids.next_id(), SessionId(0x0100_0001_2345_0000));
        ids.skip(SessionId(0x0100_0001_2345_0007));
        assert_eq!(ids.next_id(), SessionId(0x0100_0001_2345_0008));
        ids.skip(SessionId(0x0200_0001_2345_0007));
        assert_eq!(ids.next_id(), SessionId(0x0100_0001_2345_0009));
    }
}
