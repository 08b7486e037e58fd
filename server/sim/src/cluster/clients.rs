//! The clients' side of their connections.

use rookeeper_protocol::types::SessionId;

use super::{Cluster, FIRST_CLIENT};
use crate::client::{Client, Op};
use crate::clock::Micros;
use crate::network::{Cargo, Kind, PipeId};
use crate::queue::Event;

/// How long a client waits for a connection, in microseconds.
const CONNECT_US: Micros = 2_000_000;

impl Cluster {
    pub(crate) fn client(&mut self, node: i64) -> Option<&mut Client> {
        self.clients.get_mut(usize::try_from(node - FIRST_CLIENT).ok()?)
    }

    /// Adds a client; its number in the network.
    pub(crate) fn add_client(&mut self, client: Client) -> i64 {
        let (index, node) = (self.clients.len(), client.node);
        self.clients.push(client);
        self.queue.add(self.now, Event::Client { index });
        node
    }

    /// A client looks around: whether it is connected, whether it should give a sign of life, what it wants.
    pub(super) fn on_client_turn(&mut self, index: usize) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(index) else { return };
        let next = client.next_turn(now);
        let node = client.node;
        self.queue.add(next, Event::Client { index });
        if self.network.paused.contains(&node) {
            return;
        }
        let timeout_us = Micros::from(client.timeout_ms) * 1000;
        if !client.is_open {
            if client.pipe.is_some() && now - client.heard_at > timeout_us {
                self.hang_up(node);
            } else if client.reconnects && client.pipe.is_none() && !client.calls {
                let servers: Vec<i64> = self.members.keys().copied().collect();
                let Some(server) = client.random.pick(&servers).copied() else { return };
                self.connect(node, server);
            }
            return;
        }
        if now - client.heard_at > timeout_us * 2 / 3 && !self.is_exact {
            return self.hang_up(node);
        }
        if client.is_shown && client.reconnects && now >= client.moves_at {
            // Perhaps there is one by now with which it can write.
            return self.hang_up(node);
        }
        if let Some(op) = client.want() {
            self.ask(node, op);
        } else if now - client.sent_at > timeout_us / 4 {
            self.ask(node, Op::Ping);
        }
    }

    /// A client calls a server.
    pub(crate) fn connect(&mut self, node: i64, server: i64) {
        if let Some(client) = self.client(node) {
            (client.calls, client.server) = (true, server);
            self.call(node, server, Kind::Client, self.now + CONNECT_US);
        }
    }

    /// A client sends a request. What is known by now, by all clients together, must stand before it.
    pub(crate) fn ask(&mut self, node: i64, op: Op) {
        let (now, known) = (self.now, self.known);
        let Some(client) = self.client(node) else { return };
        let Some(pipe) = client.pipe else { return };
        let name = op.code().number();
        let frame = client.ask(now, op, known);
        self.trace.note(now, "asks", node, name as u64);
        self.send(pipe, 0, [Cargo::Frames(frame)]);
    }

    /// A client closes its connection.
    pub(crate) fn hang_up(&mut self, node: i64) {
        let Some(client) = self.client(node) else { return };
        if let Some(pipe) = client.pipe {
            client.on_gone();
            self.close(pipe, 0);
        }
    }

    pub(super) fn on_client_refused(&mut self, node: i64) {
        if let Some(client) = self.client(node) {
            client.calls = false;
        }
    }

    pub(super) fn on_client_cargo(&mut self, node: i64, pipe: PipeId, cargo: Cargo) {
        let now = self.now;
        let Some(client) = self.clients.get_mut((node - FIRST_CLIENT) as usize) else { return };
        match cargo {
            Cargo::Open => {
                let frame = client.on_open(now, pipe);
                self.send(pipe, 0, [Cargo::Frames(frame)]);
            }
            Cargo::Frames(bytes) if client.pipe == Some(pipe) => {
                let ledger = self.shown.seen_on(pipe).unwrap_or(&self.zab.ledger);
                let answered = client.answered;
                let heard = client.on_bytes(now, &bytes, ledger, &mut self.known);
                let shown = if client.is_shown { client.answered - answered } else { 0 };
                if client.is_shown && client.session != SessionId::NONE {
                    self.zab.ledger.shown_sessions.insert(client.session);
                }
                if shown > 0 {
                    *self.counts.entry("answers of read-only servers").or_default() += shown;
                }
                match heard {
                    Ok(Some(says)) => self.send(pipe, 0, [Cargo::Frames(says)]),
                    Ok(None) => {}
                    Err(failed) => self.check(Err(failed)),
                }
            }
            Cargo::End if client.pipe == Some(pipe) || client.pipe.is_none() => {
                client.on_gone();
                self.shown.gone(pipe);
            }
            _ => {}
        }
    }
}
