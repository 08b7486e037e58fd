//! What comes to a member, or to a client.

use rookeeper_core::peer::{Input, Output};
use rookeeper_core::zab::LearnerLink;
use rookeeper_protocol::peer::{PacketType, QuorumPacket};

use super::{Cluster, FIRST_CLIENT};
use crate::network::{Attempt, Cargo, Kind, PipeId};
use crate::queue::Event;
use crate::trace::hash_of;

impl Cluster {
    /// An attempt to connect has come to the other machine.
    pub(super) fn on_attempt(&mut self, attempt: &Attempt) {
        let Attempt { from, to, kind, life, .. } = *attempt;
        let is_wanted = from >= FIRST_CLIENT || self.members.get(&from).is_some_and(|member| member.life == life);
        if !is_wanted {
            return;
        }
        match self.network.retry_at(attempt, self.now) {
            Some(Some(at)) => return self.queue.add(at, Event::Connect(*attempt)),
            Some(None) => return self.refuse(attempt),
            None => {}
        }
        if self.members.get(&to).is_none_or(|member| member.process.is_none()) {
            return self.refuse(attempt);
        }
        self.trace.note(self.now, "connected", from, to as u64);
        let pipe = self.network.open(attempt, self.now, &mut self.random, &mut self.queue);
        if let Kind::Learner(dial) | Kind::Master(dial) = kind
            && let Some(process) = self.process(from)
        {
            match &mut process.dial {
                Some(known) if known.0 == dial => known.1 = Some(pipe),
                // It was given up while it was on its way.
                _ => self.close(pipe, 0),
            }
            self.look_later(pipe, from);
        }
    }

    fn refuse(&mut self, attempt: &Attempt) {
        let Attempt { from, to, kind, .. } = *attempt;
        match kind {
            Kind::Election => self.on_election_failed(from, to),
            Kind::Learner(dial) | Kind::Master(dial) => self.step(from, Input::LeaderGone { dial }),
            Kind::Client => return self.on_client_refused(from),
        }
        self.pump(from);
    }

    /// Something arrives at one end of a connection, and perhaps more behind it.
    pub(super) fn on_arrival(&mut self, pipe: PipeId, side: usize) {
        self.network.begin_arrival(pipe, side);
        let Some((kind, node, other)) =
            self.network.pipe(pipe).map(|known| (known.kind, known.ends[side], known.ends[1 - side]))
        else {
            return;
        };
        let mut came = false;
        while self.failed.is_none()
            && let Some(cargo) = self.network.arrived(pipe, side, self.now, &mut self.queue)
        {
            came = true;
            self.note_cargo(other, node, &cargo);
            match kind {
                _ if node >= FIRST_CLIENT => self.on_client_cargo(node, pipe, cargo),
                Kind::Election if side == 0 && matches!(cargo, Cargo::Open) => {
                    self.on_election_dialed(node, other, pipe)
                }
                Kind::Election => self.on_election_cargo(node, pipe, cargo),
                Kind::Learner(_) | Kind::Master(_) if side == 0 => self.on_learner_cargo(node, pipe, cargo),
                Kind::Master(_) if matches!(cargo, Cargo::Open) => {
                    self.step(node, Input::ObserverConnected { link: LearnerLink(pipe) });
                }
                Kind::Learner(_) | Kind::Master(_) => self.on_leader_cargo(node, pipe, cargo),
                Kind::Client => self.on_serving_cargo(node, pipe, cargo),
            }
            if self.is_exact && !self.gathering.contains(&node) {
                self.pump(node);
            }
        }
        if came && node < FIRST_CLIENT {
            self.pump(node);
        }
    }

    fn note_cargo(&mut self, from: i64, node: i64, cargo: &Cargo) {
        if let Cargo::Packet(packet) = cargo
            && let (true, Some(kind)) = (self.is_exact, packet.kind())
        {
            self.delivered.push((from, node, kind, packet.zxid));
        }
        let (what, detail) = match cargo {
            Cargo::Open => ("open", 0),
            Cargo::Hello(from) => ("hello", *from as u64),
            Cargo::Vote(bytes) => ("vote", hash_of(bytes)),
            Cargo::Packet(packet) => (packet.kind().map_or("packet", PacketType::name), packet.zxid.0 as u64),
            Cargo::Piece(_) => ("piece", 0),
            Cargo::SnapshotEnd(zxid) => ("snapshot", zxid.0 as u64),
            Cargo::Frames(bytes) => ("frames", hash_of(bytes)),
            Cargo::End => ("end", 0),
        };
        self.trace.note(self.now, what, node, detail);
    }

    fn look_later(&mut self, pipe: PipeId, id: i64) {
        let init_us =
            self.members.get(&id).map_or(0, |member| member.settings.tick_ms * member.settings.init_limit * 1000);
        self.queue.add(self.now + init_us, Event::Look { pipe });
    }

    /// A driver ends a connection whose other end takes nothing for initLimit, and one on which a snapshot does not go on. Looked
    /// at once in initLimit, so that it takes up to two.
    pub(super) fn look_at_pipe(&mut self, pipe: PipeId) {
        let Some(ends) = self.network.pipe(pipe).map(|known| known.ends) else { return };
        let init_us =
            self.members.get(&ends[0]).map_or(0, |member| member.settings.tick_ms * member.settings.init_limit * 1000);
        for to in [0, 1] {
            let Some(is_snapshot) = self.network.is_stuck(pipe, to, self.now - init_us) else { continue };
            for end in [1 - to, to].into_iter().take(if is_snapshot { 2 } else { 1 }) {
                if !self.network.paused.contains(&ends[end]) {
                    self.on_pipe_broken(ends[end], pipe, end);
                    self.close(pipe, end);
                    self.pump(ends[end]);
                }
            }
        }
        if self.network.pipe(pipe).is_some() {
            self.look_later(pipe, ends[0]);
        }
    }

    /// A learner's connection has ended without a word.
    pub(super) fn on_pipe_broken(&mut self, id: i64, pipe: PipeId, side: usize) {
        match side {
            0 => self.on_learner_cargo(id, pipe, Cargo::End),
            _ => self.on_leader_cargo(id, pipe, Cargo::End),
        }
    }

    /// At a learner, from its leader.
    fn on_learner_cargo(&mut self, id: i64, pipe: PipeId, cargo: Cargo) {
        let Some(process) = self.process(id) else { return };
        let Some((dial, _)) = process.dial.filter(|(_, known)| *known == Some(pipe)) else { return };
        match cargo {
            Cargo::Open => self.step(id, Input::LeaderConnected { dial }),
            Cargo::Packet(packet) => {
                let packets = self.read_at_once(pipe, 0, packet);
                if packets.iter().any(|packet| packet.kind() == Some(PacketType::Diff)) {
                    self.count("DIFF");
                }
                let cuts = packets.last().is_some_and(|packet| packet.kind() == Some(PacketType::Trunc));
                if cuts {
                    self.network.set_unread(pipe, 0, true);
                }
                self.step(id, Input::LeaderPackets { dial, packets });
                if cuts {
                    self.pump(id);
                    self.read_on_if_idle(id, pipe);
                }
            }
            Cargo::Piece(piece) => {
                if let Err(error) = process.files.receive(piece) {
                    self.on_disk_failure(id, &error);
                }
            }
            Cargo::SnapshotEnd(zxid) => self.step(id, Input::SnapshotReceived { dial, zxid }),
            Cargo::End => {
                process.dial = None;
                self.step(id, Input::LeaderGone { dial });
            }
            Cargo::Hello(_) | Cargo::Vote(_) | Cargo::Frames(_) => {}
        }
    }

    /// A packet, and those that have come behind it, up to one behind which no other is read. In a script each comes alone.
    fn read_at_once(&mut self, pipe: PipeId, side: usize, first: QuorumPacket) -> Vec<QuorumPacket> {
        let mut packets = vec![first];
        let goes_on = |packet: &QuorumPacket| !matches!(packet.kind(), Some(PacketType::Trunc | PacketType::Snap));
        while !self.is_exact
            && packets.last().is_some_and(goes_on)
            && self.network.packet_is_next(pipe, side)
            && let Some(ends) = self.network.pipe(pipe).map(|known| known.ends)
            && let Some(cargo) = self.network.arrived(pipe, side, self.now, &mut self.queue)
        {
            self.note_cargo(ends[1 - side], ends[side], &cargo);
            if let Cargo::Packet(packet) = cargo {
                packets.push(packet);
            }
        }
        packets
    }

    /// A TRUNC that asked nothing of the disk holds nothing up.
    fn read_on_if_idle(&mut self, id: i64, pipe: PipeId) {
        let cuts = |write: &Output| matches!(write, Output::Truncate { .. });
        if self.process(id).is_some_and(|process| !process.writes.iter().any(cuts)) {
            self.network.set_unread(pipe, 0, false);
        }
    }

    /// At a leader, from a learner.
    fn on_leader_cargo(&mut self, id: i64, pipe: PipeId, cargo: Cargo) {
        let link = LearnerLink(pipe);
        match cargo {
            Cargo::Open => self.step(id, Input::LearnerConnected { link }),
            Cargo::Packet(packet) => {
                let packets = self.read_at_once(pipe, 1, packet);
                if let Some(now_ms) = self.monotonic_ms(id) {
                    let pings = packets.iter().filter(|packet| packet.kind() == Some(PacketType::Ping)).count();
                    (0..pings).for_each(|_| self.alive.is_told(id, pipe, now_ms));
                }
                self.step(id, Input::LearnerPackets { link, packets });
            }
            Cargo::End => {
                if let Some(process) = self.process(id) {
                    process.pictures.remove(&pipe);
                }
                self.alive.gone(pipe);
                self.step(id, Input::LearnerGone { link });
            }
            _ => {}
        }
    }

    /// At a member, from a client.
    fn on_serving_cargo(&mut self, id: i64, pipe: PipeId, cargo: Cargo) {
        let at = self.now;
        let Some(member) = self.members.get_mut(&id) else { return };
        match cargo {
            Cargo::Open => {
                member.on_client(pipe);
                self.shown.connected(id, pipe);
            }
            Cargo::Frames(bytes) => {
                let now_ms = member.now(at).monotonic_ms;
                let known = member.session_on(pipe);
                member.on_client_bytes(at, pipe, &bytes);
                let ends = member.session_on(pipe).is_none();
                if let Some((session, timeout_ms)) = known {
                    self.alive.hears(id, session, timeout_ms, now_ms);
                    if ends {
                        self.alive.asked_to_end(id, session);
                    }
                }
            }
            Cargo::End => {
                self.shown.gone(pipe);
                if let Some(conn) = member.process.as_ref().and_then(|process| process.table.on_pipe(pipe)) {
                    member.on_client_gone(at, conn);
                }
            }
            _ => {}
        }
    }
}
