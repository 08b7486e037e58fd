//! The learner's side between agreement and pipeline: requests go to the leader, transactions come back, and the leader
//! hears which sessions are alive (`FollowerRequestProcessor`, `LearnerSessionTracker`).

use std::collections::BTreeMap;

use bytes::BytesMut;
use rookeeper_protocol::peer::{
    ForwardedRequest, InformAndActivate, PacketType, QuorumPacket, Revalidate, Revalidated, Touch,
};
use rookeeper_protocol::txn::LogEntry;
use rookeeper_protocol::types::{SessionId, Zxid};

use super::output::Output;
use super::{Lent, Peer, Role, Serving};
use crate::pipeline::{Now, WriteRequest};
use crate::watch::ConnId;
use crate::zab::learner::Incoming;
use crate::zab::{Action, DialId, Reason};

/// Sessions without a connection here that the leader is told of at a time. An observer that brings more is sent away: a
/// leader would not read so long an answer.
const OTHERS_MAX: usize = 100_000;

/// Who gave a sign of life since the leader asked last.
#[derive(Debug, Default)]
pub(super) struct Touches {
    /// When it asked, in monotonic milliseconds.
    asked_ms: i64,
    /// Sessions whose connections are gone since, and those of observers' clients, with their timeouts in milliseconds.
    others: BTreeMap<SessionId, i32>,
}

impl Touches {
    /// A sign of life of a session that has no connection here. False, and it counts for nothing, if there are too many.
    pub(super) fn add(&mut self, session: SessionId, timeout_ms: i32) -> bool {
        let has_room = self.others.len() < OTHERS_MAX || self.others.contains_key(&session);
        if has_room {
            self.others.insert(session, timeout_ms);
        }
        has_room
    }

    pub(super) fn clear(&mut self, now_ms: i64) {
        self.asked_ms = now_ms;
        self.others.clear();
    }
}

impl Peer {
    /// Sends requests of this server's clients to the leader.
    pub(super) fn forward(&mut self, now: Now, requests: impl IntoIterator<Item = WriteRequest>) {
        debug_assert!(self.packets.is_empty(), "a leader hands out what it proposes");
        for request in requests {
            // Only a leader's own requests come from nobody.
            if request.origin.conn.is_none() || !self.is_current(&request.origin) {
                continue;
            }
            let Some(request) = self.pipeline.take_local(request) else { continue };
            let upgrade = self.pipeline.upgrade(now, &request);
            for request in upgrade.into_iter().chain([request]) {
                if self.pipeline.forward(&request) {
                    let WriteRequest { origin, ids, body } = request;
                    let forwarded =
                        ForwardedRequest { session: origin.session, cxid: origin.xid, op: origin.op.number(), body };
                    forwarded.write_packet(&mut self.packets, Some(&ids));
                }
            }
        }
        if !self.packets.is_empty() {
            let frame = self.take_packets();
            self.actions.push(Action::ToLeader(frame));
        }
    }

    pub(super) fn on_leader_packet(&mut self, now: Now, lent: &Lent<'_>, dial: DialId, packet: QuorumPacket) {
        if self.role.learner_on(dial).is_none() {
            return;
        }
        let entry = match entry_of(&packet) {
            Ok(entry) => entry,
            Err(reason) => return self.actions.push(Action::Leave(reason)),
        };
        let kind = packet.kind();
        let Role::Learning(learner) = &mut self.role else { return };
        let incoming = learner.on_packet(&mut self.state, now.monotonic_ms, packet, &mut self.actions);
        self.note_leaders_word(now, kind);
        match incoming {
            None => {}
            Some(Incoming::Learned) => entry.into_iter().for_each(|entry| self.learn(now, entry)),
            Some(Incoming::Ping(zxid)) => self.answer_ping(now, lent, zxid),
            Some(Incoming::Revalidated(data)) => self.on_revalidated(&data),
            Some(Incoming::Synced) => self.on_synced(),
        }
    }

    fn learn(&mut self, now: Now, entry: LogEntry) {
        self.note_learned(now, &entry);
        if let Some(config) = self.members_in(&entry) {
            self.see_members(config);
        }
        if self.is_replacing() {
            self.behind_snapshot.push(entry);
        } else {
            self.pipeline.learn(entry);
        }
    }

    /// Tells the leader which sessions gave a sign of life since it asked last (`Learner#ping`).
    fn answer_ping(&mut self, now: Now, lent: &Lent<'_>, zxid: Zxid) {
        let asked_ms = self.touches.asked_ms;
        let here = self.pipeline.sessions.attached().filter_map(|(session, conn)| {
            let (heard_ms, timeout_ms) = lent.clients.last_heard(conn)?;
            (heard_ms >= asked_ms).then_some(Touch { session, timeout_ms })
        });
        let others = self
            .touches
            .others
            .iter()
            .map(|(session, timeout_ms)| Touch { session: *session, timeout_ms: *timeout_ms });
        let mut out = BytesMut::new();
        Touch::write_packet(&mut out, zxid, here.chain(others));
        self.touches.clear(now.monotonic_ms);
        self.actions.push(Action::ToLeader(out.freeze()));
    }

    /// A client came with a session and its password.
    pub(super) fn renew_session(&mut self, now: Now, conn: ConnId, session: SessionId, timeout_ms: i32) {
        if self.serves_sessions() && self.renew_local(now, conn, session, timeout_ms) {
            return;
        }
        match self.role {
            Role::Looking if self.is_read_only() => self.renew_read_only(conn, session),
            _ if self.serving != Serving::Yes => {}
            Role::Leading(_) => self.renew_here(now, conn, session, timeout_ms),
            Role::Learning(_) => {
                let mut out = BytesMut::new();
                Revalidate { session, timeout_ms }.write_packet(&mut out);
                self.actions.push(Action::ToLeader(out.freeze()));
                // Of two connections that name the same session the later one is its client's.
                if let Some(old) = self.renewals.insert(session, conn) {
                    self.outbox.push(Output::CloseConnection { conn: old, session });
                }
            }
            Role::Looking | Role::Pausing(_) | Role::Stopped => {}
        }
    }

    /// The leader's answer (`Learner#revalidate`).
    fn on_revalidated(&mut self, data: &[u8]) {
        let Ok(Revalidated { session, valid }) = Revalidated::read(data) else {
            return self.actions.push(Action::Leave(Reason::BadPacket));
        };
        if self.relay_revalidated(session, valid) {
            return;
        }
        let Some(conn) = self.renewals.remove(&session) else { return };
        if valid {
            self.pipeline.sessions.expect(session);
            self.move_session(session, conn);
        }
        self.outbox.push(Output::SessionRenewed { conn, session, valid });
    }

    pub(super) fn on_disconnected(&mut self, conn: ConnId, session: SessionId, timeout_ms: i32, heard_ms: i64) {
        if self.renewals.get(&session) == Some(&conn) {
            self.renewals.remove(&session);
        }
        let is_here = self.pipeline.sessions.get(session).is_some_and(|session| session.conn == Some(conn));
        if is_here && !self.leads() && heard_ms >= self.touches.asked_ms {
            // Without room its session lives a little less long, as if it had been heard a tick before.
            let _has_room = self.touches.add(session, timeout_ms);
        }
        self.pipeline.sessions.detach(session, conn, timeout_ms, heard_ms);
        self.pipeline.local_sessions.detach(session, conn, timeout_ms, heard_ms);
    }
}

/// The transaction in a packet that has one.
fn entry_of(packet: &QuorumPacket) -> Result<Option<LogEntry>, Reason> {
    let read = |payload: &[u8]| match LogEntry::read(payload) {
        Ok(entry) if entry.header.zxid == packet.zxid => Ok(Some(entry)),
        // Bytes that are no transaction, or one with another number than the packet says.
        Ok(_) | Err(_) => Err(Reason::BadProposal),
    };
    match (packet.kind(), &packet.data) {
        (Some(PacketType::Proposal | PacketType::Inform), Some(data)) => read(data),
        (Some(PacketType::InformAndActivate), Some(data)) => {
            read(&InformAndActivate::read(data).map_err(|_| Reason::BadPacket)?.entry)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_have_a_bound() {
        let mut touches = Touches::default();
        let most = OTHERS_MAX as i64;
        assert!((0..most).all(|id| touches.add(SessionId(id), 1)));
        assert!(!touches.add(SessionId(most), 1));
        assert!(touches.add(SessionId(0), 2));
        assert_eq!((touches.others.len(), touches.others.get(&SessionId(0))), (OTHERS_MAX, Some(&2)));
        touches.clear(0);
        assert!(touches.add(SessionId(most), 1));
    }
}
