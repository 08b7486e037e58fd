//! The leader's side between agreement and pipeline: requests become proposals, sessions are its business
//! (`PrepRequestProcessor`, `ProposalRequestProcessor`, `LeaderSessionTracker`).

use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use rookeeper_protocol::peer::{
    ForwardedRequest, PacketType, QuorumPacket, Revalidate, Revalidated, Touch, finish_packet, start_packet,
};
use rookeeper_protocol::types::{OpCode, SessionId, Zxid};

use super::output::Output;
use super::{Lent, Peer, Role};
use crate::client::Admission;
use crate::ensemble::EnsembleConfig;
use crate::pipeline::{Now, Origin, WriteRequest};
use crate::session::Owner;
use crate::tree::Tree;
use crate::watch::ConnId;
use crate::zab::leader::{Incoming, Syncer};
use crate::zab::{Action, LearnerLink, LogRecord, Reason};

/// The last number that is given to a transaction. The one behind it would make the next one's counter 0, which is no
/// transaction's (ZOOKEEPER-1277).
const COUNTER_MAX: u32 = u32::MAX - 1;

/// Requests, and bytes of them, that may be on their way when a learner brings another one: a learner that brings more is
/// sent away. Each server bounds what its own clients ask for (`globalOutstandingLimit`), so that only one which does not
/// comes near this.
const REQUESTS_MAX: usize = 1 << 20;
const REQUEST_BYTES_MAX: usize = 512 << 20;

/// Where the records of a batch lie among its packets.
type Places = Vec<(Zxid, Range<usize>)>;

impl Peer {
    /// Prepares requests and proposes what they became: one encoding is the log's record and the learners' packet.
    pub(super) fn propose(&mut self, now: Now, tree: &Tree, requests: impl IntoIterator<Item = WriteRequest>) {
        if self.changes_sides_at.is_some() {
            // Nothing is committed here any more; what is asked for now the next leader must be asked for.
            return;
        }
        let mut places = Vec::new();
        for request in requests {
            if !self.is_current(&request.origin) {
                continue;
            }
            let Some(request) = self.pipeline.take_local(request) else { continue };
            let upgrade = self.pipeline.upgrade(now, &request);
            if upgrade.into_iter().chain([request]).any(|request| !self.propose_one(now, tree, request, &mut places)) {
                break;
            }
        }
        self.hand_out(now, &mut places);
    }

    /// False if there are no zxids left in the epoch.
    fn propose_one(&mut self, now: Now, tree: &Tree, request: WriteRequest, places: &mut Places) -> bool {
        if request.origin.op == OpCode::Sync {
            self.figures.prepared();
            // What stands before it must be proposed before the leader looks what there is to wait for.
            self.hand_out(now, places);
            let Role::Leading(leader) = &mut self.role else { return true };
            self.pipeline.submit_sync(request);
            leader.sync(&self.state, Syncer::Here, &mut self.actions);
            return true;
        }
        if self.pipeline.last_proposed().counter() >= COUNTER_MAX {
            // The learners hear of what the epoch still has room for.
            self.hand_out(now, places);
            self.actions.push(Action::Leave(Reason::EpochFull));
            return false;
        }
        self.figures.prepared();
        let begin = self.packets.len();
        let start = start_packet(&mut self.packets, PacketType::Proposal, self.pipeline.last_proposed().next());
        let (zxid, config) = self.prepare(now, tree, request);
        match zxid {
            Some(zxid) => {
                let end = self.packets.len();
                finish_packet(&mut self.packets, start, None);
                places.push((zxid, start + LENGTH_BYTES..end));
                if let Some(config) = config {
                    self.reconfigure(now, places, config);
                }
            }
            None => self.packets.truncate(begin),
        }
        true
    }

    /// Prepares one request; tells the list of members that it proposes, if it is such a one.
    fn prepare(&mut self, now: Now, tree: &Tree, request: WriteRequest) -> (Option<Zxid>, Option<EnsembleConfig>) {
        if request.origin.op != OpCode::Reconfig {
            return (self.pipeline.submit(now, tree, request, &mut self.packets), None);
        }
        let judged = self.judge_reconfiguration(now, &request);
        let text = judged.as_ref().map(ToString::to_string).map_err(|code| *code);
        let (zxid, proposed) = self.pipeline.submit_reconfig(now, tree, request, text, &mut self.packets);
        (zxid, judged.ok().filter(|_| proposed))
    }

    /// The last request proposes a list of members: it, and what comes behind it, needs both lists.
    fn reconfigure(&mut self, now: Now, places: &mut Places, config: EnsembleConfig) {
        self.see_members(config);
        self.hand_out(now, places);
        if let Role::Leading(leader) = &mut self.role {
            leader.reconfigures();
        }
    }

    /// Hands what was encoded so far to the log and to the learners.
    fn hand_out(&mut self, now: Now, places: &mut Places) {
        let Some((through, _)) = places.last() else { return };
        self.figures.proposed(now, *through, places.len());
        let frame = self.take_packets();
        let Role::Leading(leader) = &mut self.role else { return };
        let record = |(zxid, place)| LogRecord { zxid, payload: frame.slice(place) };
        let records = places.drain(..).map(record);
        leader.propose(&mut self.state, now.monotonic_ms, records, &frame, &mut self.actions);
    }

    /// Requests and acknowledgements are taken together, everything else behind those that came before it.
    pub(super) fn on_learner_packets(&mut self, now: Now, tree: &Tree, link: LearnerLink, packets: Vec<QuorumPacket>) {
        for packet in packets {
            if !matches!(packet.kind(), Some(PacketType::Request | PacketType::Ack)) {
                self.propose_gathered(now, tree);
            }
            self.on_learner_packet(now, tree, link, packet);
            self.carry_out(now, tree);
        }
        self.propose_gathered(now, tree);
        if let Some(master) = self.role.learner_master() {
            master.count_new_acks(&mut self.state, &mut self.actions);
        }
    }

    /// Proposes what a learner's clients want.
    fn propose_gathered(&mut self, now: Now, tree: &Tree) {
        let requests = std::mem::take(&mut self.gathered);
        if !requests.is_empty() && self.leads() {
            self.propose(now, tree, requests);
            self.carry_out(now, tree);
        }
    }

    fn on_learner_packet(&mut self, now: Now, tree: &Tree, link: LearnerLink, packet: QuorumPacket) {
        let Some(master) = self.role.learner_master() else { return self.on_early_packet(link, packet) };
        let relays = master.relays();
        let incoming = master.on_packet(&mut self.state, now.monotonic_ms, link, packet, &mut self.actions);
        if matches!(incoming, Some(Incoming::Revalidate(_))) {
            self.figures.revalidates();
        }
        let readable = match incoming {
            None => true,
            Some(Incoming::Request(packet)) if relays => self.relay_request(link, &packet),
            Some(Incoming::Touches(data)) if relays => self.relay_touches(&data),
            Some(Incoming::Revalidate(data)) if relays => self.relay_revalidate(link, &data),
            Some(Incoming::Request(packet)) => self.on_request(now, tree, link, packet),
            Some(Incoming::Touches(data)) => self.on_touches(now, &data),
            Some(Incoming::Revalidate(data)) => self.on_revalidate(now, link, &data),
        };
        if !readable && let Some(master) = self.role.learner_master() {
            master.dismiss(link, Reason::BadPacket, &mut self.actions);
        }
    }

    /// A learner's client wants something (`LearnerHandler#run`). False if it cannot be read.
    fn on_request(&mut self, now: Now, tree: &Tree, link: LearnerLink, packet: QuorumPacket) -> bool {
        let Some(Ok(request)) = packet.data.as_ref().map(ForwardedRequest::read) else { return false };
        if self.takes_no_more() {
            // Others would keep this server from ever coming to an end. The next leader is asked again.
            return true;
        }
        // The bytes of those gathered are no more than one reading.
        if !has_room(self.pipeline.in_flight() + self.gathered.len(), self.pipeline.in_flight_bytes()) {
            if let Role::Leading(leader) = &mut self.role {
                leader.dismiss(link, Reason::TooManyRequests, &mut self.actions);
            }
            return true;
        }
        match OpCode::from_number(request.op) {
            Some(OpCode::Sync) => {
                // What stands before it must be proposed before the leader looks what there is to wait for.
                self.propose_gathered(now, tree);
                if let Role::Leading(leader) = &mut self.role {
                    leader.sync(&self.state, Syncer::Learner(link), &mut self.actions);
                }
            }
            Some(op) if Admission::of(op) != Admission::Read => {
                let ForwardedRequest { session, cxid: xid, body, .. } = request;
                let origin =
                    Origin { conn: None, learner: Some(link.0), session, xid, op, received_ms: now.monotonic_ms };
                let ids = Arc::from(packet.authinfo.unwrap_or_default());
                self.gathered.push(WriteRequest { origin, ids, body });
            }
            // Learners answer reads themselves; Java's leader makes nothing of these either.
            Some(_) | None => {}
        }
        true
    }

    fn on_touches(&mut self, now: Now, data: &[u8]) -> bool {
        let Ok(touches) = Touch::read_all(data) else { return false };
        for touch in touches {
            // A session that is over stays so, whoever heard of it.
            self.pipeline.sessions.touch(touch.session, touch.timeout_ms, now.monotonic_ms);
        }
        true
    }

    /// A client came to a learner with its session (`Leader#revalidateSession`). A connection here that it was on stays, as it
    /// does on a follower, until it wants to write or the session ends: if two clients have the session, and one of them was
    /// sent away, it would come back at once and cut the other off.
    fn on_revalidate(&mut self, now: Now, link: LearnerLink, data: &[u8]) -> bool {
        let Ok(Revalidate { session, timeout_ms }) = Revalidate::read(data) else { return false };
        let valid = self.pipeline.sessions.touch(session, timeout_ms, now.monotonic_ms);
        if valid {
            self.pipeline.sessions.set_owner(session, Some(Owner::Learner(link.0)));
        }
        let mut out = BytesMut::new();
        Revalidated { session, valid }.write_packet(&mut out);
        self.actions.push(Action::ToLearner(link, out.freeze()));
        true
    }

    /// A client came back to this server, which leads.
    pub(super) fn renew_here(&mut self, now: Now, conn: ConnId, session: SessionId, timeout_ms: i32) {
        let valid = self.pipeline.sessions.touch(session, timeout_ms, now.monotonic_ms);
        if valid {
            self.pipeline.sessions.set_owner(session, Some(Owner::Here));
            self.move_session(session, conn);
        }
        self.outbox.push(Output::SessionRenewed { conn, session, valid });
    }

    /// Ends sessions that are over and own znodes all the same: a snapshot from elsewhere may hold such. Java's leader takes
    /// them out of its own tree alone (`ZooKeeperServer#loadData`), and is not like its followers any more; here all let go
    /// of them in one transaction.
    pub(super) fn end_dead_owners(&mut self, now: Now, tree: &Tree) {
        let sessions = &self.pipeline.sessions;
        let dead: Vec<_> = tree.ephemeral_owners().filter(|owner| sessions.get(*owner).is_none()).collect();
        self.propose(now, tree, dead.into_iter().map(|owner| WriteRequest::expire(owner, now.monotonic_ms)));
    }

    /// Ends the sessions that were silent too long.
    pub(super) fn expire_sessions(&mut self, now: Now, lent: &Lent<'_>) {
        let now_ms = now.monotonic_ms;
        let expired = self.pipeline.sessions.expire(now_ms, |conn| lent.clients.last_heard(conn));
        if !expired.is_empty() {
            self.figures.expired(expired.len());
            let requests = expired.into_iter().map(|session| WriteRequest::expire(session, now_ms));
            self.propose(now, lent.tree, requests);
        }
    }
}

/// Whether a learner's request may join so many others.
fn has_room(count: usize, bytes: usize) -> bool {
    count < REQUESTS_MAX && bytes < REQUEST_BYTES_MAX
}

/// Bytes of the length in front of a packet's data.
const LENGTH_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learners_requests_are_bounded() {
        assert!(has_room(REQUESTS_MAX - 1, REQUEST_BYTES_MAX - 1));
        assert!(!has_room(REQUESTS_MAX, 0) && !has_room(0, REQUEST_BYTES_MAX));
    }
}
