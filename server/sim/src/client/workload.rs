//! What a client wants, drawn from its seed.

use bytes::Bytes;
use rookeeper_protocol::types::CreateMode;

use super::{Client, Op};
use crate::clock::Micros;

/// Paths that all clients write to. Few, so that they meet.
const SHARED_PATHS: u64 = 6;

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
        Some(match self.random.below(100) {
            0..18 => Op::Set { path: shared, data, version },
            18..32 => Op::Create { path: shared, data, mode: CreateMode::Persistent },
            32..38 => Op::Delete { path: shared, version },
            38..44 => Op::Create { path: own, data, mode: CreateMode::Ephemeral },
            44..48 => Op::Delete { path: own, version: -1 },
            48..51 => Op::Create { path: "/queue-".into(), data, mode: CreateMode::EphemeralSequential },
            51..65 => Op::Get { path: shared, watch },
            65..72 => Op::Exists { path: shared, watch },
            72..77 => Op::Get { path: own, watch },
            77..80 => Op::Children { path: "/".into(), watch },
            80..88 => Op::Sync,
            88..99 => {
                let other = format!("/shared{}", self.random.below(SHARED_PATHS));
                Op::Multi(vec![
                    Op::Check { path: shared.clone(), version },
                    Op::Set { path: shared, data: data.clone(), version: -1 },
                    Op::Delete { path: other.clone(), version: -1 },
                    Op::Create { path: other, data, mode: CreateMode::Persistent },
                ])
            }
            _ if self.random.permille(200) => Op::Close,
            _ => Op::Sync,
        })
    }
}
