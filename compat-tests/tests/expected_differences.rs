//! What ours answers where it is meant to differ.

use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::expected_differences::EXPECTED_DIFFERENCES;
use rookeeper_compat_tests::player::{Entry, play};
use rookeeper_compat_tests::script::Script;
use rookeeper_compat_tests::server::{Config, Kind, Server};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::OpCode;

/// The code of a reply; of a multi, the first that is not 0, which is the reason why it failed.
fn code(entry: &Entry) -> i32 {
    let mut reader = Reader::new(&entry.bytes);
    let header = (|| Ok::<_, rookeeper_protocol::jute::DecodeError>((reader.int()?, reader.long()?, reader.int()?)))();
    let error = header.map_or(i32::MIN, |(_, _, error)| error);
    // In a failed multi the result of every part is (-1, false, error), and the error once more.
    if error == 0 && entry.text.contains("[-1 ") {
        while let (Ok(_), Ok(false), Ok(error), Ok(_)) = (reader.int(), reader.boolean(), reader.int(), reader.int()) {
            if error != 0 {
                return error;
            }
        }
    }
    error
}

#[test]
fn ours_answers_as_intended() {
    assert_eq!(subject_kind(), Kind::Ours, "these answers are those of Rookeeper alone: unset COMPAT_SUBJECT");
    let config = Config::default().key("extendedTypesEnabled", "true").key("enforceQuota", "true");
    let mut server = Server::start(Kind::Ours, &config).unwrap_or_else(|error| panic!("{error}"));
    for difference in EXPECTED_DIFFERENCES {
        let mut script = Script::new(difference.name);
        script.connect("a");
        (difference.script)(&mut script);
        // The server must be as alive afterwards as before, also after a start over what it has logged.
        script.restart(rookeeper_compat_tests::script::Control::KillAndRestart);
        script.connect("after");
        script.call("after", rookeeper_compat_tests::request::bare(OpCode::Ping));
        let transcript = play(&mut server, &script).unwrap_or_else(|error| panic!("{}: {error}", difference.reason));
        let replies: Vec<_> = transcript.iter().flatten().filter(|entry| entry.text.starts_with("a: reply")).collect();
        let codes: Vec<_> = replies.iter().map(|entry| code(entry)).collect();
        let expected: Vec<_> = difference.answers.iter().map(|code| code.number()).collect();
        let texts: Vec<_> = replies.iter().map(|entry| &entry.text).collect();
        assert_eq!(codes, expected, "{}: {}\n{texts:#?}", difference.name, difference.reason);
    }
}
