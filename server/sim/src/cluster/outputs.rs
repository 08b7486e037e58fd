//! What a member asks for is done.

use bytes::{Bytes, BytesMut};
use rookeeper_core::peer::{Event as Told, Input, Output, WriteId};
use rookeeper_core::zab::{DialId, Epochs, LearnerLink, LogRecord};
use rookeeper_protocol::peer::{PacketDecoder, PacketType, PeerState, QuorumPacket};
use rookeeper_protocol::txn::{LogEntry, Txn};
use rookeeper_protocol::types::Zxid;

use super::{Cluster, is_majority};
use crate::checks::Failed;
use crate::clock::Micros;
use crate::member::{Process, Report};
use crate::network::{Attempt, Cargo, Kind, PipeId};
use crate::queue::Event;

/// Bytes that a buffer in a packet may have.
const INNER_LENGTH_MAX: i32 = 1 << 20;

/// Bytes of the log that are read at a time: little, so that there are several pieces.
const HISTORY_BYTES_MAX: usize = 1024;

/// The longest that something committed lies unapplied, in microseconds.
const APPLY_LATER_US_MAX: Micros = 20_000;

/// What a write does when it is done.
#[derive(Debug, Clone, Copy)]
enum Effect {
    Appended(Zxid),
    Persisted(Epochs),
    Cut(Zxid),
    Installed,
    Nothing,
}

impl Cluster {
    /// Does all that a member asks for, until it asks for nothing more.
    pub(crate) fn pump(&mut self, id: i64) {
        self.apply(id);
        loop {
            let mut outputs = Vec::new();
            let Some(process) = self.process(id) else { return };
            process.peer.take_outputs(&mut outputs);
            if outputs.is_empty() {
                break;
            }
            for output in outputs {
                self.carry_out(id, output);
            }
            self.apply(id);
        }
        if self.is_exact {
            // The image follows by itself, also while nothing is applied.
            self.step_image(id);
        }
        self.write_to_clients(id);
        self.begin_flush(id);
        self.judge(id);
        if let Some(member) = self.members.get_mut(&id) {
            member.refresh_deadline();
        }
        if self.process(id).is_some_and(|process| process.has_stopped) {
            self.trace.note(self.now, "stopped", id, 0);
            self.kill(id);
            self.on_stopped(id);
        }
    }

    /// Applies what is committed, one by one, and compares each tree with the others' at the same zxid.
    fn apply(&mut self, id: i64) {
        let (at, now) = (self.now, self.now);
        let lazy = self.members.get(&id).is_some_and(|member| self.random.permille(member.settings.lazy_permille));
        let Some(member) = self.members.get_mut(&id) else { return };
        let (now_of, life) = (member.now(at), member.life);
        let Some(process) = &mut member.process else { return };
        if !process.peer.has_committed() || process.applies_later {
            return;
        }
        if lazy {
            process.applies_later = true;
            let at = now + self.random.between(1, APPLY_LATER_US_MAX);
            return self.queue.add(at, Event::Apply { member: id, life });
        }
        let Process { peer, tree, watches, table, .. } = process;
        table.now_ms = now_of.monotonic_ms;
        let mut checked = Ok(());
        while peer.has_committed() {
            peer.apply(now_of, tree, watches, table, 1);
            // A picture that was newer than it said: until then the tree is nobody else's.
            if self.ahead.get(&id).is_none_or(|ahead| tree.last_zxid() >= *ahead) {
                checked = checked.and(self.zab.ledger.compare_digest(id, tree.last_zxid(), tree.digest()));
            }
        }
        self.check(checked);
        self.step_image(id);
    }

    fn step_image(&mut self, id: i64) {
        let Some(Process { peer, tree, files, .. }) = self.process(id) else { return };
        if tree.last_zxid() > peer.zab().history.durable() || !peer.image_may_follow(tree) {
            return;
        }
        let keep_after = peer.keep_log_after();
        if let Err(error) = files.step_image(tree, peer.pipeline_mut(), keep_after) {
            self.on_disk_failure(id, &error);
        }
    }

    fn carry_out(&mut self, id: i64, output: Output) {
        match output {
            Output::Append { .. }
            | Output::PersistEpochs { .. }
            | Output::Truncate { .. }
            | Output::ReceiveSnapshot { .. }
            | Output::InstallSnapshot { .. }
            | Output::DropSnapshot { .. }
            | Output::MembersSeen { .. }
            | Output::MembersActivated { .. } => self.give_to_disk(id, output),
            Output::ElectionMessage { to, message } => self.send_vote(id, to, message),
            Output::Dial { dial, to, timeout_ms } => self.dial(id, dial, to.0, Kind::Learner(dial), timeout_ms),
            Output::DialObserverMaster { dial, to, timeout_ms } => {
                self.dial(id, dial, to.0, Kind::Master(dial), timeout_ms);
            }
            Output::ToLeader { dial, frames } => {
                if let Some((_, Some(pipe))) =
                    self.process(id).and_then(|process| process.dial).filter(|known| known.0 == dial)
                {
                    self.send_packets(id, pipe, 0, &frames);
                }
            }
            Output::HangUp { dial } => {
                let known = self.process(id).and_then(|process| process.dial.take_if(|known| known.0 == dial));
                if let Some((_, Some(pipe))) = known {
                    self.close(pipe, 0);
                }
            }
            Output::ToLearner { link, frames } => self.send_packets(id, link.0, 1, &frames),
            Output::ReadHistory { link, after, through, bytes_max, size_limit_permille } => {
                let bytes_max = bytes_max.min(HISTORY_BYTES_MAX);
                let Some(process) = self.process(id) else { return };
                match process.files.history(after, through, bytes_max, size_limit_permille) {
                    Ok(piece) => self.answer_later(id, Input::HistoryRead { link, piece }),
                    Err(error) => self.on_disk_failure(id, &error),
                }
            }
            Output::OpenSnapshot { link } => self.open_snapshot(id, link),
            Output::SendSnapshot { link } => {
                let Some(picture) = self.process(id).and_then(|process| process.pictures.remove(&link.0)) else {
                    return;
                };
                self.count("SNAP");
                if let (true, Some(pipe)) = (picture.zxid < picture.end, self.network.pipe(link.0)) {
                    self.ahead.insert(pipe.ends[0], picture.end);
                }
                let end = Cargo::SnapshotEnd(picture.zxid);
                self.send(link.0, 1, picture.pieces.into_iter().map(Cargo::Piece).chain([end]));
                self.answer_later(id, Input::SnapshotSent { link });
            }
            Output::Dismiss { link } => {
                if let Some(process) = self.process(id) {
                    process.pictures.remove(&link.0);
                }
                self.close(link.0, 1);
            }
            Output::Serve | Output::ServeReadOnly | Output::StopServing => {
                let (serves, shows) = (output == Output::Serve, output == Output::ServeReadOnly);
                let what = if serves {
                    "serves"
                } else if shows {
                    "shows"
                } else {
                    "serves no more"
                };
                self.trace.note(self.now, what, id, 0);
                let Some(process) = self.process(id) else { return };
                (process.serves, process.shows) = (serves, shows);
                process.table.end_all();
                let leads = process.peer.is_established_leader();
                let now_ms = self.monotonic_ms(id).filter(|_| leads);
                match serves || shows {
                    true => self.alive.serves(id, now_ms),
                    false => self.alive.ends(id),
                }
                match shows {
                    true => self.begin_to_show(id),
                    false => self.shown.ends(id),
                }
            }
            Output::SessionRenewed { conn, session, valid } => {
                let at = self.now;
                if let (false, false, Some(now_ms)) = (valid, self.zab.ledger.knows(session), self.monotonic_ms(id)) {
                    let is_over = self.alive.is_over(id, session, now_ms);
                    self.check(is_over);
                }
                if let Some(member) = self.members.get_mut(&id) {
                    member.on_renewed(at, conn, valid);
                }
            }
            Output::CloseConnection { conn, .. } => {
                if let Some(process) = self.process(id) {
                    process.table.end(conn);
                }
            }
            Output::StateChanged(state) => {
                self.trace.note(self.now, state_name(state), id, 0);
                if let Some(process) = self.process(id) {
                    process.role = state;
                }
            }
            Output::Tell(event) => self.tell(id, &event),
            Output::Stopped => {
                if let Some(process) = self.process(id) {
                    process.has_stopped = true;
                }
            }
        }
    }

    fn tell(&mut self, id: i64, event: &Told) {
        self.trace.tell(self.now, format_args!("  {id}: {event:?}"));
        match event {
            Told::Dismissed { .. } => self.count("dismissed"),
            Told::LeftLeader { .. } => self.count("left"),
            Told::SteppedDown { .. } => self.count("stepped down"),
            Told::Synchronized { .. } => self.count("synchronized"),
        }
    }

    /// What a member has asked for is there after a moment.
    fn answer_later(&mut self, id: i64, input: Input) {
        let at = self.now + if self.is_exact { 1000 } else { self.random.between(50, 2000) };
        let life = self.members.get(&id).map_or(0, |member| member.life);
        self.queue.add(at, Event::Own { member: id, life, input: Box::new(input) });
    }

    fn open_snapshot(&mut self, id: i64, link: LearnerLink) {
        let Some(process) = self.process(id) else { return };
        match process.files.picture() {
            Ok(picture) => {
                let picture = match self.begun.get(&id) {
                    Some((begun, last)) => begun.ended_by(&picture, last),
                    None => picture,
                };
                let zxid = picture.zxid;
                if let Some(process) = self.process(id) {
                    process.pictures.insert(link.0, picture);
                }
                self.answer_later(id, Input::SnapshotOpened { link, zxid });
            }
            Err(error) => self.on_disk_failure(id, &error),
        }
    }

    /// A learner calls its leader, or an observer master.
    fn dial(&mut self, id: i64, dial: DialId, to: i64, kind: Kind, timeout_ms: i64) {
        if let Some(process) = self.process(id) {
            process.dial = Some((dial, None));
        }
        self.call(id, to, kind, self.now + timeout_ms * 1000);
    }

    /// An attempt to connect is on its way.
    pub(crate) fn call(&mut self, from: i64, to: i64, kind: Kind, until: Micros) {
        let life = self.members.get(&from).map_or(0, |member| member.life);
        let at = self.now + self.network.draw_delay(from, to, &mut self.random);
        self.queue.add(at, Event::Connect(Attempt { from, to, kind, life, until }));
    }

    pub(crate) fn send(&mut self, pipe: PipeId, from: usize, cargo: impl IntoIterator<Item = Cargo>) {
        self.network.send(pipe, from, cargo, self.now, &mut self.random, &mut self.queue);
    }

    pub(crate) fn close(&mut self, pipe: PipeId, end: usize) {
        self.network.close(pipe, end, self.now, &mut self.random, &mut self.queue);
    }

    /// Packets for the other end of a learner's connection.
    fn send_packets(&mut self, id: i64, pipe: PipeId, from: usize, frames: &[Bytes]) {
        let mut packets = Vec::new();
        for frame in frames {
            let mut bytes = BytesMut::from(&frame[..]);
            while let Ok(Some(packet)) = PacketDecoder::new(INNER_LENGTH_MAX).next_packet(&mut bytes) {
                self.check_said(id, pipe, from, &packet);
                packets.push(Cargo::Packet(packet));
            }
            if !bytes.is_empty() {
                self.check(Err(Failed::new("only whole packets are sent", format!("server {id}"))));
            }
        }
        self.send(pipe, from, packets);
    }

    /// A packet goes out: whatever it rests on is on the disk.
    fn check_said(&mut self, id: i64, pipe: PipeId, from: usize, packet: &QuorumPacket) {
        let (Some(kind), zxid) = (packet.kind(), packet.zxid) else { return };
        if kind == PacketType::Ping && from == 0 {
            self.alive.tells(id, pipe);
        }
        if self.trace.shows() {
            let to = self.network.pipe(pipe).map_or(0, |pipe| pipe.ends[1 - from]);
            self.trace.tell(self.now, format_args!("  {id} -> {to} {} {zxid}", kind.name()));
        }
        if let Some(epochs) = self.process(id).map(|process| process.peer.epochs()) {
            let said = self.zab.says(id, kind, zxid, epochs);
            self.check(said);
        }
    }

    /// What a member's monotonic clock shows.
    pub(crate) fn monotonic_ms(&self, id: i64) -> Option<i64> {
        self.members.get(&id).map(|member| member.now(self.now).monotonic_ms)
    }

    /// A leader proposes sessions, and ends them.
    fn check_sessions(&mut self, id: i64, records: &[LogRecord]) {
        let Some(now_ms) = self.monotonic_ms(id) else { return };
        for entry in records.iter().filter_map(|record| LogEntry::read(&record.payload).ok()) {
            let session = entry.header.client_id;
            match entry.txn {
                Txn::CreateSession { timeout_ms } => self.alive.begins(id, session, timeout_ms, now_ms),
                // A client has a number for its request.
                Txn::CloseSession { .. } if entry.header.cxid == 0 => {
                    let expires = self.alive.expires(id, session, now_ms, &self.zab.ledger);
                    self.check(expires);
                }
                _ => {}
            }
        }
    }

    /// A write for the disk, behind all others.
    fn give_to_disk(&mut self, id: i64, write: Output) {
        let Some(process) = self.members.get_mut(&id).and_then(|member| member.process.as_mut()) else { return };
        let (leads, shows) = (process.role == PeerState::Leading, process.shows);
        match &write {
            Output::Append { .. } if shows => {
                self.check(Err(Failed::new("a read-only server logs nothing", format!("server {id}"))));
            }
            Output::Append { records, .. } => {
                let appended = self.zab.appended(id, records);
                self.check(appended);
                if leads {
                    self.check_sessions(id, records);
                }
            }
            Output::PersistEpochs { epochs, .. } if leads => self.zab.begins(id, *epochs),
            Output::ReceiveSnapshot { zxid, .. } => self.zab.receives_snapshot(id, *zxid),
            Output::DropSnapshot { .. } => self.zab.dropped_snapshot(id),
            Output::InstallSnapshot { .. } => self.zab.replaces(id),
            Output::Truncate { .. } => self.count("TRUNC"),
            _ => {}
        }
        if let Some(process) = self.process(id) {
            process.writes.push_back(write);
        }
    }

    /// Lets the disk begin with all that waits for it.
    pub(crate) fn begin_flush(&mut self, id: i64) {
        let is_exact = self.is_exact;
        let took = if is_exact { 1000 } else { self.random.between(self.flush_us.0, self.flush_us.1) };
        let Some(member) = self.members.get_mut(&id) else { return };
        let life = member.life;
        let Some(process) = &mut member.process else { return };
        if process.writing > 0 || process.writes.is_empty() {
            return;
        }
        process.writing = if is_exact { 1 } else { process.writes.len() };
        self.queue.add(self.now + took, Event::Flushed { member: id, life });
    }

    /// The disk has done what it was given, unless its machine or a scenario holds it.
    pub(crate) fn on_flushed(&mut self, id: i64) {
        let late = self.network.paused.contains(&id) || self.is_disk_held(id);
        let Some(process) = self.process(id) else { return };
        if late {
            process.is_disk_late = true;
            return;
        }
        self.finish_writes(id);
    }

    /// Carries out what the disk was given, and reports it.
    pub(crate) fn finish_writes(&mut self, id: i64) {
        let Some(process) = self.process(id) else { return };
        process.is_disk_late = false;
        let count = std::mem::take(&mut process.writing);
        let batch: Vec<Output> = process.writes.drain(..count).collect();
        let effects: Vec<_> = batch.iter().filter_map(effect).collect();
        let lists: Vec<Output> = batch.iter().filter(|write| is_list(write)).cloned().collect();
        let mut reports = Vec::new();
        let written = process.files.write(batch, &process.tree, &mut reports);
        if effects.iter().any(|(_, effect)| matches!(effect, Effect::Cut(_))) && written.is_err() {
            self.zab.unsettled(id);
        }
        if let Err(error) = written {
            return self.on_disk_failure(id, &error);
        }
        for list in lists {
            self.keep_list(id, list);
        }
        self.trace.note(self.now, "flushed", id, effects.last().map_or(0, |(write, _)| write.0));
        let mut effects = effects.into_iter().peekable();
        for report in reports {
            let write = match &report {
                Report::Durable(write) | Report::Truncated { write, .. } | Report::Installed { write, .. } => *write,
            };
            while let Some((_, effect)) = effects.next_if(|(done, _)| *done <= write) {
                self.take_effect(id, effect);
            }
            self.report(id, report);
            self.pump(id);
        }
        self.read_on(id);
        self.begin_flush(id);
    }

    /// A list of members is on disk.
    fn keep_list(&mut self, id: i64, list: Output) {
        let Some(member) = self.members.get_mut(&id) else { return };
        match list {
            Output::MembersSeen { text } => member.see_members(text),
            Output::MembersActivated { text, activation } => member.activate_members(text, activation.nothing_pending),
            _ => {}
        }
    }

    fn take_effect(&mut self, id: i64, effect: Effect) {
        match effect {
            Effect::Appended(zxid) => self.zab.flushed(id, zxid),
            Effect::Persisted(epochs) => {
                let logs = self.members.get(&id).is_some_and(|member| member.logs());
                let persisted = self.zab.persisted(id, epochs, logs);
                self.check(persisted);
            }
            Effect::Cut(keep) => {
                // It is the leader's list that counts, if there is a leader.
                let judge = self.leader().unwrap_or(id);
                let Some(active) = self.process(judge).map(|process| process.peer.zab().membership.active().clone())
                else {
                    return;
                };
                let cut = self.zab.cut(id, keep, |has| is_majority(&active, has));
                self.check(cut);
            }
            Effect::Installed => self.zab.installed(id),
            Effect::Nothing => {}
        }
    }

    fn report(&mut self, id: i64, report: Report) {
        let input = match report {
            Report::Durable(through) => Input::Durable { through },
            Report::Truncated { write, last_zxid, reloaded } => {
                let reloaded = reloaded.map(|reloaded| {
                    let (tree, loaded) = *reloaded;
                    if let Some(process) = self.process(id) {
                        (process.loaded, process.tree) = (tree.last_zxid(), tree);
                    }
                    loaded
                });
                Input::Truncated { write, last_zxid, reloaded }
            }
            Report::Installed { write, tree, loaded } => {
                if let Some(process) = self.process(id) {
                    (process.loaded, process.tree) = (tree.last_zxid(), *tree);
                }
                Input::SnapshotInstalled { write, loaded: *loaded }
            }
        };
        self.step(id, input);
    }

    /// What waited on the connection behind TRUNC is read once the log is cut.
    fn read_on(&mut self, id: i64) {
        let Some(process) = self.process(id) else { return };
        let cuts = process.writes.iter().any(|write| matches!(write, Output::Truncate { .. }));
        if let Some((_, Some(pipe))) = process.dial.filter(|_| !cuts) {
            self.network.set_unread(pipe, 0, false);
            self.network.unblock(self.now, &mut self.queue);
        }
    }

    fn write_to_clients(&mut self, id: i64) {
        let Some(process) = self.process(id) else { return };
        for (conn, pipe, bytes, ends) in process.table.take_written() {
            if !bytes.is_empty() {
                self.send(pipe, 1, [Cargo::Frames(bytes)]);
            }
            if ends {
                self.close(pipe, 1);
                let at = self.now;
                if let Some(member) = self.members.get_mut(&id) {
                    member.on_client_gone(at, conn);
                }
            }
        }
    }
}

fn effect(write: &Output) -> Option<(WriteId, Effect)> {
    match write {
        Output::Append { write, records } => {
            Some((*write, records.last().map_or(Effect::Nothing, |record| Effect::Appended(record.zxid))))
        }
        Output::PersistEpochs { write, epochs } => Some((*write, Effect::Persisted(*epochs))),
        Output::Truncate { write, keep } => Some((*write, Effect::Cut(*keep))),
        Output::InstallSnapshot { write } => Some((*write, Effect::Installed)),
        Output::DropSnapshot { write } => Some((*write, Effect::Nothing)),
        _ => None,
    }
}

fn is_list(write: &Output) -> bool {
    matches!(write, Output::MembersSeen { .. } | Output::MembersActivated { .. })
}

fn state_name(state: PeerState) -> &'static str {
    match state {
        PeerState::Looking => "looks",
        PeerState::Following => "follows",
        PeerState::Leading => "leads",
        PeerState::Observing => "observes",
    }
}
