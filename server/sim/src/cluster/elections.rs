//! A member's election connections, kept by the core's own rules for them.

use bytes::Bytes;
use rookeeper_core::election::{LinkId, LinkOutput, Links};
use rookeeper_core::peer::Input;
use rookeeper_protocol::types::ServerId;

use super::Cluster;
use crate::clock::Micros;
use crate::member::Process;
use crate::network::{Cargo, Kind, PipeId};

/// How long an attempt takes at most (cnxTimeout), in microseconds.
const CONNECT_US: Micros = 5_000_000;

impl Cluster {
    /// Lets a member's links do something, and does what they ask for.
    fn with_links(&mut self, id: i64, act: impl FnOnce(&mut Links, i64, &mut Vec<LinkOutput>)) {
        let at = self.now;
        let mut out = Vec::new();
        let Some(member) = self.members.get_mut(&id) else { return };
        let now_ms = member.now(at).monotonic_ms;
        let Some(process) = &mut member.process else { return };
        act(&mut process.links, now_ms, &mut out);
        while !out.is_empty() {
            for output in std::mem::take(&mut out) {
                self.carry_out_link(id, output, &mut out);
            }
        }
    }

    fn carry_out_link(&mut self, id: i64, output: LinkOutput, out: &mut Vec<LinkOutput>) {
        match output {
            LinkOutput::Dial { to, .. } => self.call(id, to.0, Kind::Election, self.now + CONNECT_US),
            LinkOutput::Write { link, message } => {
                if let Some(end) = self.end_of(id, link.0) {
                    self.trace.tell(self.now, format_args!("  {id} votes over {}", link.0));
                    self.send(link.0, end, [Cargo::Vote(message)]);
                }
                if let Some(process) = self.process(id) {
                    process.links.on_written(link, out);
                }
            }
            LinkOutput::Close(link) => {
                if let Some(process) = self.process(id) {
                    process.linked.remove(&link.0);
                }
                if let Some(end) = self.end_of(id, link.0) {
                    self.close(link.0, end);
                }
            }
            LinkOutput::Linked { with, link } => {
                if let Some(process) = self.process(id) {
                    process.linked.insert(link.0, with.0);
                }
                self.step(id, Input::ElectionConnected { with });
            }
            LinkOutput::Unreachable(server) => self.step(id, Input::ElectionUnreachable { server }),
        }
    }

    /// Which end of a connection is this member's.
    fn end_of(&self, id: i64, pipe: PipeId) -> Option<usize> {
        self.network.pipe(pipe)?.ends.iter().position(|end| *end == id)
    }

    pub(super) fn send_vote(&mut self, id: i64, to: ServerId, message: Bytes) {
        self.with_links(id, |links, now_ms, out| links.send(now_ms, to, message, out));
    }

    pub(super) fn on_links_timeout(&mut self, id: i64) {
        self.with_links(id, |links, now_ms, out| {
            if links.next_deadline_ms().is_some_and(|deadline_ms| deadline_ms <= now_ms) {
                links.on_timeout(now_ms, out);
            }
        });
    }

    /// The connection that a member has made stands.
    pub(super) fn on_election_dialed(&mut self, id: i64, to: i64, pipe: PipeId) {
        self.send(pipe, 0, [Cargo::Hello(id)]);
        self.with_links(id, |links, now_ms, out| links.on_dialed(now_ms, ServerId(to), LinkId(pipe), out));
    }

    pub(super) fn on_election_failed(&mut self, id: i64, to: i64) {
        self.with_links(id, |links, now_ms, out| links.on_dial_failed(now_ms, ServerId(to), out));
    }

    /// Something came over an election connection.
    pub(super) fn on_election_cargo(&mut self, id: i64, pipe: PipeId, cargo: Cargo) {
        match cargo {
            Cargo::Hello(from) => {
                let from = ServerId(from);
                self.with_links(id, |links, now_ms, out| {
                    links.on_accepted(now_ms, from, Vec::new(), LinkId(pipe), out);
                });
            }
            Cargo::Vote(message) => {
                let from = self.process(id).and_then(|process: &mut Process| process.linked.get(&pipe).copied());
                if let Some(from) = from {
                    self.step(id, Input::ElectionMessage { from: ServerId(from), message });
                }
            }
            Cargo::End => {
                if let Some(process) = self.process(id) {
                    process.linked.remove(&pipe);
                }
                self.with_links(id, |links, now_ms, out| links.on_closed(now_ms, LinkId(pipe), out));
            }
            _ => {}
        }
    }
}
