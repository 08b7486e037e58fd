//! What is written is read; what is not in order, or without end, is refused.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use bytes::BytesMut;

use super::{OPEN_ACL_KEY, OutOfOrder, SnapshotItem, SnapshotParser, SnapshotWriter, SnapshotZnode};
use crate::jute::{DecodeErrorKind, Writer};
use crate::types::{Acl, SessionId, StatPersisted, Zxid};

const LIMIT: i32 = 1000;

fn session(id: i64) -> SnapshotItem<'static> {
    SnapshotItem::Session { id: SessionId(id), timeout_ms: 4000 }
}

fn acl(key: i64, count: usize) -> SnapshotItem<'static> {
    SnapshotItem::Acl { key, acl: Cow::Owned(vec![Acl::read_only(); count]) }
}

fn znode<'a>(path: &'a str, data: Option<&'a [u8]>) -> SnapshotItem<'a> {
    let stat = StatPersisted { czxid: Zxid(7), version: 3, ..StatPersisted::default() };
    SnapshotItem::Znode(SnapshotZnode { path: Cow::Borrowed(path), data, acl_key: OPEN_ACL_KEY, stat })
}

fn items() -> Vec<SnapshotItem<'static>> {
    vec![
        SnapshotItem::Sessions(2),
        session(1),
        session(-2),
        SnapshotItem::Acls(2),
        acl(1, 1),
        acl(9, 0),
        znode("/", None),
        znode("/a", Some(b"")),
        znode("/a/ä", Some(b"data")),
        SnapshotItem::End,
    ]
}

fn written(items: Vec<SnapshotItem<'_>>) -> BytesMut {
    let (mut writer, mut out) = (SnapshotWriter::default(), BytesMut::new());
    writer.fill(items, usize::MAX, &mut out).unwrap();
    assert!(writer.is_ended());
    out
}

/// Compares while it reads, since an item lives no longer than until the next.
fn reads(stream: &[u8], step: usize, mut expected: &[SnapshotItem<'_>]) -> BytesMut {
    let mut parser = SnapshotParser::new(BytesMut::new(), LIMIT);
    for piece in stream.chunks(step) {
        parser.buffer().extend_from_slice(piece);
        while let Some(item) = parser.next_item().unwrap() {
            let (first, rest) = expected.split_first().unwrap();
            assert_eq!(item, *first);
            expected = rest;
        }
    }
    assert!(expected.is_empty());
    parser.into_rest()
}

fn refused(stream: &[u8]) -> DecodeErrorKind {
    let mut parser = SnapshotParser::new(BytesMut::from(stream), LIMIT);
    loop {
        match parser.next_item() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("there is nothing wrong"),
            Err(error) => return error.kind,
        }
    }
}

#[test]
fn what_is_written_is_read_however_it_arrives() {
    let mut stream = written(items());
    stream.extend_from_slice(b"packets");
    for step in [1, 2, 3, 7, 64, stream.len()] {
        let rest = reads(&stream, step, &items());
        assert!(b"packets".ends_with(&rest));
        assert!(step != stream.len() || rest == b"packets"[..]);
    }
}

#[test]
fn counts_may_be_zero() {
    let bare = vec![SnapshotItem::Sessions(0), SnapshotItem::Acls(0), SnapshotItem::End];
    let stream = written(bare.clone());
    assert_eq!(stream, b"\0\0\0\0\0\0\0\0\0\0\0\x01/\0\0\0\x0aBenWasHere"[..]);
    reads(&stream, 1, &bare);
    // Java reads nothing for a negative number.
    let mut negative = stream.clone();
    negative[..4].fill(0xFF);
    negative[4] = 0x80;
    reads(&negative, 5, &bare);
}

#[test]
fn pieces_are_bounded() {
    let (mut writer, mut items) = (SnapshotWriter::default(), items().into_iter());
    let (mut stream, mut pieces) = (BytesMut::new(), 0);
    while !writer.is_ended() {
        let mut piece = BytesMut::new();
        writer.fill(&mut items, 20, &mut piece).unwrap();
        // The largest item has 84 bytes.
        assert!(piece.len() < 20 + 84 && (piece.len() >= 20 || writer.is_ended()), "{}", piece.len());
        stream.extend_from_slice(&piece);
        pieces += 1;
    }
    assert_eq!((&stream, pieces), (&written(self::items()), 6));
}

#[test]
fn disorder_is_refused() {
    let whole = items();
    for missing in 0..whole.len() - 1 {
        let mut items = whole.clone();
        // Znodes come in any number.
        if matches!(items.remove(missing), SnapshotItem::Znode(_)) {
            continue;
        }
        let mut writer = SnapshotWriter::default();
        assert_eq!(writer.fill(items, usize::MAX, &mut BytesMut::new()), Err(OutOfOrder), "without {missing}");
    }
    let mut writer = SnapshotWriter::default();
    writer.fill(whole, usize::MAX, &mut BytesMut::new()).unwrap();
    assert_eq!(writer.fill([znode("/b", None)], usize::MAX, &mut BytesMut::new()), Err(OutOfOrder));
}

#[test]
fn another_signature_is_refused() {
    let mut stream = written(items());
    let last = stream.len() - 1;
    stream[last] = b'E';
    assert_eq!(refused(&stream), DecodeErrorKind::Signature);
}

#[test]
fn nulls_and_lengths_are_refused() {
    let head = |sessions: i32, acls: i32| {
        let mut out = BytesMut::new();
        out.int(sessions);
        out.int(acls);
        out
    };
    let mut null_acl = head(0, 1);
    null_acl.long(1);
    null_acl.null();
    assert_eq!(refused(&null_acl), DecodeErrorKind::NullVector);
    let mut null_path = head(0, 0);
    null_path.null();
    assert_eq!(refused(&null_path), DecodeErrorKind::NullField);
    let mut long_path = head(0, 0);
    long_path.int(LIMIT + 1);
    assert_eq!(refused(&long_path), DecodeErrorKind::UnreasonableLength(LIMIT + 1));
    let mut long_data = head(0, 0);
    long_data.text("/a");
    long_data.int(LIMIT + 1);
    assert_eq!(refused(&long_data), DecodeErrorKind::UnreasonableLength(LIMIT + 1));
}

#[test]
fn a_list_is_not_waited_for_without_end() {
    let stream = written(vec![SnapshotItem::Sessions(0), SnapshotItem::Acls(1), acl(1, 100), SnapshotItem::End]);
    let item_len_max = 76 + 2 * LIMIT as usize;
    assert_eq!(refused(&stream), DecodeErrorKind::RecordTooLong(item_len_max));
    // The same before its end is there.
    assert_eq!(refused(&stream[..8 + item_len_max + 1]), DecodeErrorKind::RecordTooLong(item_len_max));
    let mut parser = SnapshotParser::new(BytesMut::from(&stream[..8 + item_len_max]), LIMIT);
    while parser.next_item().unwrap().is_some() {}
}
