//! Four-letter words: text for operators (`org.apache.zookeeper.server.command`).

use rookeeper_protocol::client::FourLetterWord;

use crate::runtime::Shared;

/// The answer to a word. `argument` is what followed `stmk`.
pub(crate) fn answer(shared: &Shared, word: FourLetterWord, argument: Option<i64>) -> String {
    let _ = (shared, argument);
    match word {
        FourLetterWord::Ruok => "imok".to_owned(),
        _ => String::new(),
    }
}
