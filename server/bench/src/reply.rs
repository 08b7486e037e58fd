//! Replies, read no further than needed to know that they are right.

use rookeeper_protocol::types::ErrorCode;

use crate::template::{Template, Value};

/// Length of a reply's header behind the frame's length: xid, zxid, error.
pub(crate) const HEADER_LEN: usize = 16;

/// Length of a Stat.
const STAT_LEN: usize = 68;

/// Where a Stat holds the length of the znode's data.
const DATA_LENGTH_AT: usize = 52;

/// One reply or event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply<'a> {
    /// The request's number.
    pub(crate) xid: i32,
    /// The newest transaction the server had applied.
    pub(crate) zxid: i64,
    /// The error code.
    pub(crate) error: i32,
    /// What follows the header.
    pub(crate) body: &'a [u8],
}

impl<'a> Reply<'a> {
    /// Reads the header of a frame's contents; `None` when they are too short for one.
    #[inline]
    pub(crate) fn read(frame: &'a [u8]) -> Option<Self> {
        let (header, body) = frame.split_at_checked(HEADER_LEN)?;
        Some(Self {
            xid: int(header, 0),
            zxid: i64::from(int(header, 4)) << 32 | i64::from(int(header, 8) as u32),
            error: int(header, 12),
            body,
        })
    }
}

/// The int at `at`; the caller has checked the length.
#[inline]
pub(crate) fn int(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// What a reply was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it had to be.
    Good,
    /// An error code that was not expected.
    Error(i32),
    /// Contents that cannot be right; says which.
    Wrong(&'static str),
}

impl Verdict {
    /// `Good`, or `Wrong` with this reason.
    #[inline]
    pub(crate) fn good_if(condition: bool, otherwise: &'static str) -> Self {
        if condition { Self::Good } else { Self::Wrong(otherwise) }
    }
}

/// What the reply to a request for the znode of a number has to hold.
#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// Nothing behind the header (delete, addWatch).
    Nothing,
    /// The Stat of a znode with this value (exists, setData).
    Stat(Value),
    /// The value and its Stat (getData).
    Data(Value),
    /// The path of this request (create).
    Path(Template),
    /// So many names (getChildren).
    Children(i32),
}

impl Expect {
    /// Judges the reply to the request for `number`.
    #[inline]
    pub(crate) fn judge(&self, number: u32, reply: &Reply<'_>) -> Verdict {
        if reply.error != 0 {
            return Verdict::Error(reply.error);
        }
        let body = reply.body;
        match self {
            Self::Nothing => Verdict::good_if(body.is_empty(), "bytes behind a reply that has no body"),
            Self::Stat(value) => Verdict::good_if(stat_fits(body, value), "the Stat of another value"),
            Self::Data(value) => {
                let size = value.bytes().len();
                let right = body.len() == 4 + size + STAT_LEN
                    && int(body, 0) as usize == size
                    && value.is(number, &body[4..4 + size])
                    && stat_fits(&body[4 + size..], value);
                Verdict::good_if(right, "the data of another znode, or data never written")
            }
            Self::Path(template) => Verdict::good_if(template.is_path(number, body), "the path of another znode"),
            Self::Children(count) => {
                Verdict::good_if(body.len() >= 4 && int(body, 0) == *count, "another number of children")
            }
        }
    }
}

fn stat_fits(stat: &[u8], value: &Value) -> bool {
    stat.len() == STAT_LEN && int(stat, DATA_LENGTH_AT) as usize == value.bytes().len()
}

/// An error code as `-101 NoNode`.
pub(crate) fn code_name(code: i32) -> String {
    match ErrorCode::from_number(code) {
        Some(name) => format!("{code} {name:?}"),
        None => format!("{code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_reply(data: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; HEADER_LEN];
        frame.extend_from_slice(&(data.len() as u32).to_be_bytes());
        frame.extend_from_slice(data);
        frame.extend_from_slice(&[0; DATA_LENGTH_AT]);
        frame.extend_from_slice(&(data.len() as u32).to_be_bytes());
        frame.extend_from_slice(&[0; STAT_LEN - DATA_LENGTH_AT - 4]);
        frame
    }

    fn judge(expect: &Expect, number: u32, frame: &[u8]) -> Option<Verdict> {
        Reply::read(frame).map(|reply| expect.judge(number, &reply))
    }

    #[test]
    fn headers_are_read_at_their_places() {
        let mut frame = vec![0, 0, 0, 5, 0x80, 0, 0, 1, 0x80, 0, 0, 2, 0xFF, 0xFF, 0xFF, 0x9B, 7];
        let reply = Reply::read(&frame).map(|reply| (reply.xid, reply.zxid, reply.error, reply.body.len()));
        assert_eq!(reply, Some((5, i64::MIN + (1 << 32) + 0x8000_0002, -101, 1)));
        frame.truncate(15);
        assert!(Reply::read(&frame).is_none());
    }

    #[test]
    fn data_of_another_znode_are_noticed() {
        let expect = Expect::Data(Value::new(12));
        assert_eq!(judge(&expect, 42, &data_reply(b"00000042ijkl")), Some(Verdict::Good));
        for wrong in [&b"00000043ijkl"[..], b"00000042ijkx", b"00000042ijk", b""] {
            assert!(matches!(judge(&expect, 42, &data_reply(wrong)), Some(Verdict::Wrong(_))), "{wrong:?}");
        }
        let mut cut = data_reply(b"00000042ijkl");
        cut.truncate(cut.len() - 1);
        assert!(matches!(judge(&expect, 42, &cut), Some(Verdict::Wrong(_))));
    }

    #[test]
    fn error_codes_are_told_with_their_names() {
        let mut frame = vec![0; HEADER_LEN];
        frame[12..].copy_from_slice(&(-101_i32).to_be_bytes());
        assert_eq!(judge(&Expect::Nothing, 0, &frame), Some(Verdict::Error(-101)));
        assert_eq!(code_name(-101), "-101 NoNode");
        assert_eq!(code_name(-9999), "-9999");
    }
}
