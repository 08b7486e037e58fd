//! Reading packets off a connection between servers, as fast as they are taken.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rookeeper_core::peer::Input;
use rookeeper_protocol::peer::{PacketDecoder, QuorumPacket};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;

use super::limits::{READ_BYTES, WAITING_BYTES_MAX};
use crate::runtime::{Arrival, Shared};

/// The read half of a connection, and what was read of it.
pub(super) struct Packets {
    reader: OwnedReadHalf,
    decoder: PacketDecoder,
    pub(super) buffer: BytesMut,
    /// How many come at once, or a little more.
    usual: usize,
    room: Arc<Semaphore>,
}

/// Packets that came at once.
pub(super) struct Batch {
    /// The packets, in their order.
    pub(super) packets: Vec<QuorumPacket>,
    /// Bytes of memory that they keep.
    bytes: usize,
}

impl Packets {
    pub(super) fn new(reader: OwnedReadHalf, inner_length_max: i32) -> Self {
        Self {
            reader,
            decoder: PacketDecoder::new(inner_length_max),
            buffer: BytesMut::new(),
            usual: 0,
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
        }
    }

    /// Takes all whole packets out of what was read, up to the first behind which something else stands.
    pub(super) fn take(&mut self, is_last: impl Fn(&QuorumPacket) -> bool) -> io::Result<Batch> {
        let before = self.buffer.len();
        let mut packets = Vec::with_capacity(self.usual);
        while let Some(packet) = self.decoder.next_packet(&mut self.buffer).map_err(io::Error::other)? {
            let ends = is_last(&packet);
            packets.push(packet);
            if ends {
                break;
            }
        }
        self.usual = packets.len().max(self.usual - self.usual / 8);
        let bytes = before.saturating_sub(self.buffer.len()).max(READ_BYTES.min(before));
        Ok(Batch { packets, bytes })
    }

    /// Reads more. False at the end of the stream.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.reader.read_buf(&mut self.buffer).await? > 0)
    }

    /// Hands packets in as what they mean, once there is room for them.
    pub(super) async fn hand_in(&self, shared: &Shared, batch: Batch, input: impl FnOnce(Vec<QuorumPacket>) -> Input) {
        if batch.packets.is_empty() {
            return;
        }
        let permits = batch.bytes.clamp(1, WAITING_BYTES_MAX) as u32;
        // It is never closed.
        let room = self.room.clone().acquire_many_owned(permits).await.ok();
        shared.inbox.arrive(Arrival { input: input(batch.packets), room });
    }
}
