//! Four-letter words: text for operators (`org.apache.zookeeper.server.command`).
//!
//! An answer may tell of a million watches. It comes in pieces: each is made under short holds of the locks it
//! needs and is written to the socket before the next one is made, so that no answer stops the server or has
//! to fit into memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rookeeper_core::watch::ConnId;
use rookeeper_protocol::client::FourLetterWord;

use super::{connections, dump, environment, monitor, server, watches};
use crate::runtime::Shared;

/// Connections, sessions, znodes or watches that one piece tells of: copying so many holds a lock for less than
/// a millisecond, and their text is a few hundred kilobytes.
pub(super) const PIECE_ENTRIES: usize = 4096;

/// Bytes of text that a Java server hands to the socket at once, and counts as one packet.
const JAVA_PACKET_BYTES: usize = 8192;

const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// An answer, piece by piece.
pub(crate) type Pieces = Box<dyn Iterator<Item = String> + Send>;

/// The answer to a word that came on connection `asker`. `argument` is what followed `stmk`.
pub(crate) fn answer(shared: &Arc<Shared>, asker: ConnId, word: FourLetterWord, argument: Option<i64>) -> Pieces {
    use FourLetterWord as Word;
    if !shared.config.four_letter_whitelist.allows(word.text()) {
        return whole(format!("{} is not executed because it is not in the whitelist.\n", word.text()));
    }
    if !shared.is_serving()
        && let Some(refusal) = not_serving(word)
    {
        return whole(refusal);
    }
    match word {
        Word::Conf => whole(server::conf(shared)),
        Word::Cons => connections::full(shared, asker),
        Word::Crst => connections::reset(shared),
        Word::Dirs => whole(server::dirs(shared)),
        Word::Dump => dump::dump(shared),
        Word::Envi => whole(environment::envi()),
        Word::Gtmk => whole(shared.trace_mask.load(Ordering::Relaxed).to_string()),
        Word::Hash => whole(server::hash(shared)),
        Word::Isro => whole(if shared.machine.lock().is_read_only() { "ro" } else { "rw" }.to_owned()),
        Word::Mntr => whole(monitor::mntr(shared)),
        Word::Ruok => whole("imok".to_owned()),
        Word::Stmk => match argument {
            Some(mask) => {
                shared.trace_mask.store(mask, Ordering::Relaxed);
                whole(mask.to_string())
            }
            // The mask never came.
            None => whole(String::new()),
        },
        Word::Srst => whole(server::srst(shared)),
        Word::Srvr => whole(server::heading(shared) + &server::numbers(shared)),
        Word::Stat => connections::brief(shared, asker),
        Word::Wchc => watches::by_connection(shared),
        Word::Wchp => watches::by_path(shared),
        Word::Wchs => watches::summary(shared),
        Word::TelnetClose => whole(String::new()),
    }
}

/// What a word says of a server that serves nobody; nothing when it does not care.
fn not_serving(word: FourLetterWord) -> Option<String> {
    use FourLetterWord as Word;
    match word {
        Word::Ruok | Word::Envi | Word::Gtmk | Word::Stmk | Word::TelnetClose => None,
        Word::Isro => Some("null".to_owned()),
        Word::Hash => Some(NOT_SERVING.to_owned()),
        _ => Some(format!("{NOT_SERVING}\n")),
    }
}

/// How many packets a Java server counts for an answer of so many bytes (`SendBufferWriter`).
pub(crate) fn packets(bytes: usize) -> u64 {
    bytes.div_ceil(JAVA_PACKET_BYTES) as u64
}

/// An answer in one piece.
pub(super) fn whole(text: String) -> Pieces {
    Box::new(std::iter::once(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_need_no_server_answer_without_one() {
        assert_eq!(not_serving(FourLetterWord::Ruok), None);
        assert_eq!(not_serving(FourLetterWord::Isro).as_deref(), Some("null"));
        assert_eq!(not_serving(FourLetterWord::Hash).as_deref(), Some(NOT_SERVING));
        let refused = FourLetterWord::ALL
            .iter()
            .filter(|word| not_serving(**word).is_some_and(|text| text.ends_with("requests\n")));
        assert_eq!(refused.count(), 12);
    }

    #[test]
    fn packets_are_counted_as_java_writes_them() {
        assert_eq!([0, 1, 8192, 8193].map(packets), [0, 1, 1, 2]);
    }
}
