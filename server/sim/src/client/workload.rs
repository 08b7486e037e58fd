//! What a client wants, drawn from its seed.

use bytes::Bytes;
use rookeeper_protocol::types::{CreateMode, Perms};

use super::{Access, Client, Op, Who};
use crate::clock::Micros;

/// Paths that all clients write to. Few, so that they meet.
const SHARED_PATHS: u64 = 6;

/// Containers, and znodes with a time to live.
const MORTAL_PATHS: u64 = 2;

/// The longest time to live that clients ask for, in milliseconds.
pub(crate) const TTL_MS_MAX: i64 = 10_000;

/// Requests that a client leaves without an answer.
const PENDING_MAX: usize = 6;

/// How often a client wants something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    /// The mean pause between two requests, in microseconds.
    pub(crate) pause_us: Micros,
    /// It wants nothing more; only its session is kept.
    pub(crate) rests: bool,
}

impl Client {
    /// Whether servers let it change the list of members.
    pub(crate) fn may_reconfigure(&self) -> bool {
        matches!(self.who, Who::Anybody | Who::Super)
    }

    /// When the client looks again what it wants.
    pub(crate) fn next_turn(&mut self, now: Micros) -> Micros {
        let pause_us = match self.workload {
            Some(Workload { pause_us, rests: false }) if self.is_open => pause_us,
            // Often enough for a sign of life in time.
            _ => i64::from(self.timeout_ms) * 1000 / 8,
        };
        now + self.random.between(1, 2 * pause_us)
    }

    /// Something that the client wants now, if it does.
    pub(crate) fn want(&mut self) -> Option<Op> {
        let workload = self.workload?;
        if workload.rests || self.pending.len() >= PENDING_MAX {
            return None;
        }
        let own = format!("/own{}-{}", self.node, self.random.below(2));
        let shared = format!("/shared{}", self.random.below(SHARED_PATHS));
        let data = Bytes::from(format!("{}-{}", self.node, self.random.below(1_000_000)));
        let version = if self.random.permille(150) { self.random.below(3) as i32 } else { -1 };
        let watch = self.random.permille(400);
        let (kind, access) = (self.random.below(100), self.access());
        Some(match kind {
            0..15 => Op::Set { path: shared, data, version },
            15..27 => Op::Create { path: shared, data, mode: CreateMode::Persistent, access },
            27..32 => Op::Delete { path: shared, version },
            32..38 => Op::Create { path: own, data, mode: CreateMode::Ephemeral, access },
            38..42 => Op::Delete { path: own, version: -1 },
            42..45 => Op::Create { path: "/queue-".into(), data, mode: CreateMode::EphemeralSequential, access },
            45..58 => Op::Get { path: shared, watch },
            58..65 => Op::Exists { path: shared, watch },
            65..70 => Op::Get { path: own, watch },
            70..73 => Op::Children { path: "/".into(), watch },
            73..80 => Op::Sync,
            80..86 => self.want_mortal(data, watch),
            86..89 if self.who != Who::Anybody => Op::SetAcl { path: shared, access },
            86..99 => {
                let other = format!("/shared{}", self.random.below(SHARED_PATHS));
                Op::Multi(vec![
                    Op::Check { path: shared.clone(), version },
                    Op::Set { path: shared, data: data.clone(), version: -1 },
                    Op::Delete { path: other.clone(), version: -1 },
                    Op::Create { path: other, data, mode: CreateMode::Persistent, access },
                ])
            }
            _ if self.random.permille(200) => Op::Close,
            _ => Op::Sync,
        })
    }

    /// Whom it lets do what. While nobody asks for rights there is nothing to choose.
    fn access(&mut self) -> Access {
        match self.random.below(6) {
            _ if self.who == Who::Anybody => Access::OPEN,
            0 => Access::Own,
            1 => Access::Shown,
            2 => Access::World(Perms::READ),
            _ => Access::OPEN,
        }
    }

    /// Something about containers and what has a time to live.
    fn want_mortal(&mut self, data: Bytes, watch: bool) -> Op {
        let mode = CreateMode::Persistent;
        let number = self.random.below(MORTAL_PATHS);
        let (container, fleeting) = (format!("/container{number}"), format!("/fleeting{number}"));
        let child = format!("{container}/{}", self.random.below(2));
        match self.random.below(10) {
            0..2 => Op::Create { path: container, data, mode: CreateMode::Container, access: Access::OPEN },
            2..4 => Op::Create { path: child, data, mode, access: Access::OPEN },
            4..6 => Op::Delete { path: child, version: -1 },
            6 => Op::Children { path: container, watch },
            7..9 => Op::CreateTtl { path: fleeting, data, ttl_ms: self.random.between(1, TTL_MS_MAX) },
            _ => Op::Set { path: fleeting, data, version: -1 },
        }
    }
}
