//! Reading packets off a connection between servers, as fast as they are taken.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rookeeper_core::peer::Input;
use rookeeper_protocol::peer::{PacketDecoder, QuorumPacket};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;

use super::limits::{READ_BYTES, WAITING_BYTES_MAX};
use crate::runtime::{Arrival, Shared};

/// Batches up to so many bytes get their data copied: what is kept of them, often as long as the history of a learner,
/// would keep a whole buffer of [`READ_BYTES`] otherwise. The buffer is then free to be read into again.
const COPIED_BYTES_MAX: usize = READ_BYTES / 2;

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
        let taken = before.saturating_sub(self.buffer.len());
        if taken <= COPIED_BYTES_MAX {
            move_data(&mut packets);
            return Ok(Batch { packets, bytes: taken });
        }
        Ok(Batch { packets, bytes: taken.max(READ_BYTES) })
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

/// Moves the data of all packets to one place of their own.
fn move_data(packets: &mut [QuorumPacket]) {
    let data = || packets.iter().filter_map(|packet| packet.data.as_ref());
    let mut moved = BytesMut::with_capacity(data().map(Bytes::len).sum());
    data().for_each(|data| moved.extend_from_slice(data));
    let mut moved = moved.freeze();
    for data in packets.iter_mut().filter_map(|packet| packet.data.as_mut()) {
        *data = moved.split_to(data.len());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rookeeper_protocol::peer::{PacketType, write_packet};
    use rookeeper_protocol::types::Zxid;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// Packets off a connection that nothing comes on, behind which `kinds` have been read with data of `len` bytes.
    async fn read(kinds: &[PacketType], len: usize) -> Packets {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (reader, _) = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap().into_split();
        let mut packets = Packets::new(reader, 1 << 20);
        packets.buffer.reserve(READ_BYTES);
        for (zxid, kind) in (1..).zip(kinds) {
            write_packet(&mut packets.buffer, *kind, Zxid(zxid), Some(&vec![zxid as u8; len]));
        }
        packets
    }

    fn is_trunc(packet: &QuorumPacket) -> bool {
        packet.kind() == Some(PacketType::Trunc)
    }

    #[tokio::test]
    async fn a_batch_ends_behind_the_packet_that_is_to_be_the_last() {
        use PacketType::{Commit, Proposal, Trunc};
        let mut packets = read(&[Proposal, Commit, Trunc, Proposal], 3).await;
        // The beginning of one more.
        packets.buffer.extend_from_slice(&[0, 0, 0]);
        let zxids = |batch: Batch| batch.packets.iter().map(|packet| packet.zxid.0).collect::<Vec<_>>();
        assert_eq!(zxids(packets.take(is_trunc).unwrap()), [1, 2, 3]);
        assert_eq!(zxids(packets.take(is_trunc).unwrap()), [4]);
        assert!(packets.take(is_trunc).unwrap().packets.is_empty());
        assert_eq!(packets.buffer.len(), 3);
    }

    #[tokio::test]
    async fn what_a_small_batch_keeps_is_no_more_than_its_bytes() {
        let mut packets = read(&[PacketType::Proposal; 3], 100).await;
        let (room, read) = (packets.buffer.as_ptr(), packets.buffer.len());
        let batch = packets.take(is_trunc).unwrap();
        assert_eq!(batch.bytes, read);
        for (number, packet) in (1..).zip(&batch.packets) {
            assert_eq!(packet.data.as_deref(), Some(&[number; 100][..]));
        }
        // Nobody else has the buffer: it is read into again, although the packets are still there.
        packets.buffer.reserve(READ_BYTES);
        assert_eq!(packets.buffer.as_ptr(), room);
        drop(batch);
    }

    #[tokio::test]
    async fn a_large_batch_pays_for_the_buffer_that_it_shares() {
        let mut packets = read(&[PacketType::Proposal], COPIED_BYTES_MAX).await;
        let batch = packets.take(is_trunc).unwrap();
        assert_eq!(batch.bytes, READ_BYTES);
        assert_eq!(batch.packets[0].data.as_ref().map(Bytes::len), Some(COPIED_BYTES_MAX));
    }

    #[tokio::test]
    async fn a_broken_packet_is_an_error() {
        let mut packets = read(&[PacketType::Proposal], 3).await;
        packets.buffer[12..16].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(packets.take(is_trunc).is_err());
    }
}
