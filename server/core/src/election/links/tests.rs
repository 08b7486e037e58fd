//! Who keeps a connection, what is sent again, and when somebody is called.

use super::LinkOutput::{Close, Dial, Linked, Unreachable, Write};
use super::*;

fn message(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// What a call has asked for.
fn asked(call: impl FnOnce(&mut Vec<LinkOutput>)) -> Vec<LinkOutput> {
    let mut out = Vec::new();
    call(&mut out);
    out
}

fn dial(to: i64) -> LinkOutput {
    Dial { to: ServerId(to), at: Vec::new() }
}

fn write(link: u64, text: &'static str) -> LinkOutput {
    Write { link: LinkId(link), message: message(text) }
}

fn linked(with: i64, link: u64) -> LinkOutput {
    Linked { with: ServerId(with), link: LinkId(link) }
}

fn send(links: &mut Links, to: i64, text: &'static str) -> Vec<LinkOutput> {
    asked(|out| links.send(0, ServerId(to), message(text), out))
}

fn dialed(links: &mut Links, to: i64, link: u64) -> Vec<LinkOutput> {
    asked(|out| links.on_dialed(0, ServerId(to), LinkId(link), out))
}

fn accepted(links: &mut Links, from: i64, link: u64) -> Vec<LinkOutput> {
    asked(|out| links.on_accepted(0, ServerId(from), Vec::new(), LinkId(link), out))
}

/// Server 2 with a connection to 1 that it opened at 0 and over which "a" went.
fn linked_to_one() -> Links {
    let mut links = Links::new(ServerId(2));
    assert_eq!(send(&mut links, 1, "a"), [dial(1)]);
    assert_eq!(dialed(&mut links, 1, 7), [linked(1, 7), write(7, "a")]);
    assert_eq!(asked(|out| links.on_written(LinkId(7), out)), []);
    links
}

/// `startConnection`: the larger number keeps what it opened.
#[test]
fn the_larger_number_opens() {
    let mut links = linked_to_one();
    assert_eq!(send(&mut links, 1, "b"), [write(7, "b")]);
    assert_eq!(send(&mut links, 3, "c"), [dial(3)]);
    assert_eq!(send(&mut links, 3, "d"), [], "it is being called already");
    assert_eq!(dialed(&mut links, 3, 8), [Close(LinkId(8))], "only a knock");
    assert_eq!(accepted(&mut links, 3, 9), [linked(3, 9), write(9, "d")], "the newest only");
}

/// `handleConnection`.
#[test]
fn the_smaller_number_is_called_back() {
    let mut links = Links::new(ServerId(2));
    let at = vec![HostPort { host: "b".to_owned(), port: 3 }];
    let back = asked(|out| links.on_accepted(0, ServerId(1), at.clone(), LinkId(5), out));
    assert_eq!(back, [Close(LinkId(5)), Dial { to: ServerId(1), at }]);
    assert_eq!(accepted(&mut links, 1, 6), [Close(LinkId(6))], "being called already");
    assert_eq!(dialed(&mut links, 1, 7), [linked(1, 7)]);
    let lost = accepted(&mut links, 1, 8);
    assert_eq!(lost, [Close(LinkId(8)), Close(LinkId(7)), dial(1)], "it would not knock if it had a connection");
    assert_eq!(accepted(&mut links, 2, 9), [Close(LinkId(9))], "two servers with one number");
    let stranger = |id: i64, link: u64| vec![Close(LinkId(link)), dial(id)];
    assert_eq!(accepted(&mut links, LEGACY_OBSERVER.0, 10), stranger(-1, 10));
    assert_eq!(accepted(&mut links, LEGACY_OBSERVER.0, 11), stranger(-2, 11));
}

/// A connection takes the place of an older one, and repeats what went out last (`SendWorker.run`).
#[test]
fn a_new_connection_repeats_the_last_message() {
    let mut links = Links::new(ServerId(2));
    assert_eq!(accepted(&mut links, 3, 1), [linked(3, 1)], "nothing was ever sent");
    assert_eq!(send(&mut links, 3, "a"), [write(1, "a")]);
    assert_eq!(accepted(&mut links, 3, 2), [Close(LinkId(1)), linked(3, 2), write(2, "a")]);
    assert_eq!(asked(|out| links.on_written(LinkId(1), out)), [], "a late report about the old one");
    assert_eq!(asked(|out| links.on_closed(0, LinkId(1), out)), []);
    assert_eq!(send(&mut links, 3, "b"), [], "one at a time");
    assert_eq!(send(&mut links, 3, "c"), [], "which is as old as the one before");
    assert_eq!(asked(|out| links.on_written(LinkId(2), out)), [write(2, "c")]);
    assert_eq!(asked(|out| links.on_written(LinkId(2), out)), []);
    assert_eq!(accepted(&mut links, 3, 4), [Close(LinkId(2)), linked(3, 4), write(4, "c")]);
}

/// A connection that ends is made again, at once if it had lived: the last message may not have arrived.
#[test]
fn after_the_end_of_a_connection() {
    let mut links = linked_to_one();
    assert_eq!(asked(|out| links.on_closed(1000, LinkId(7), out)), [dial(1)]);
    assert_eq!(asked(|out| links.on_dial_failed(1001, ServerId(1), out)), [Unreachable(ServerId(1))]);
    assert_eq!(links.next_deadline_ms(), Some(1101));

    let mut links = linked_to_one();
    assert_eq!(asked(|out| links.on_closed(999, LinkId(7), out)), [], "perhaps it is always closed");
    assert_eq!(links.next_deadline_ms(), Some(1099));
    assert_eq!(asked(|out| links.on_timeout(1098, out)), []);
    assert_eq!(asked(|out| links.on_timeout(1099, out)), [dial(1)]);
    assert_eq!(dialed(&mut links, 1, 8), [linked(1, 8), write(8, "a")]);

    let mut links = linked_to_one();
    assert_eq!(asked(|out| links.on_closed(60_000, LinkId(7), out)), [dial(1)]);
    assert_eq!(asked(|out| links.on_dial_failed(60_001, ServerId(1), out)), [Unreachable(ServerId(1))]);
    assert_eq!(links.next_deadline_ms(), None, "what was said so long ago can wait");
}

/// The pause doubles up to a bound, and in the end nobody is called any more until there is something new to say.
#[test]
fn attempts_of_a_waiting_message() {
    let mut links = Links::new(ServerId(2));
    send(&mut links, 1, "a");
    let mut now_ms = 5;
    let mut pauses = Vec::new();
    loop {
        assert_eq!(asked(|out| links.on_dial_failed(now_ms, ServerId(1), out)), [Unreachable(ServerId(1))]);
        let Some(at_ms) = links.next_deadline_ms() else { break };
        pauses.push(at_ms - now_ms);
        now_ms = at_ms;
        assert_eq!(asked(|out| links.on_timeout(now_ms, out)), [dial(1)]);
    }
    assert_eq!(pauses[..7], [100, 200, 400, 800, 1600, 2000, 2000]);
    assert!((60_000..63_000).contains(&now_ms), "{now_ms}");
    assert_eq!(send(&mut links, 1, "b"), [dial(1)]);
    assert_eq!(dialed(&mut links, 1, 3), [linked(1, 3), write(3, "b")]);
}

/// Who knocks can be reached: an attempt that hangs, since it could not be reached before, is not waited for.
#[test]
fn a_knock_overtakes_an_attempt_that_hangs() {
    let mut links = Links::new(ServerId(2));
    send(&mut links, 1, "a");
    let knock = |links: &mut Links, now_ms: i64, link: u64| {
        asked(|out| links.on_accepted(now_ms, ServerId(1), Vec::new(), LinkId(link), out))
    };
    assert_eq!(knock(&mut links, 199, 1), [Close(LinkId(1))]);
    assert_eq!(knock(&mut links, 200, 2), [Close(LinkId(2)), dial(1)]);
    assert_eq!(knock(&mut links, 599, 3), [Close(LinkId(3))]);
    assert_eq!(asked(|out| links.on_dial_failed(600, ServerId(1), out)), [], "the other one may succeed");
    assert_eq!(dialed(&mut links, 1, 4), [linked(1, 4), write(4, "a")]);

    let mut links = Links::new(ServerId(2));
    send(&mut links, 1, "a");
    let mut calls = 1;
    for knocks in 1..1_000 {
        calls += knock(&mut links, knocks * 100, knocks as u64).len() - 1;
    }
    assert_eq!(calls, usize::from(DIALS_MAX));
}

/// A knock that is not answered is repeated.
#[test]
fn knocks_are_repeated() {
    let mut links = Links::new(ServerId(2));
    send(&mut links, 3, "a");
    assert_eq!(asked(|out| links.on_dialed(50, ServerId(3), LinkId(1), out)), [Close(LinkId(1))]);
    assert_eq!(links.next_deadline_ms(), Some(150));
    assert_eq!(asked(|out| links.on_timeout(150, out)), [dial(3)]);
    assert_eq!(accepted(&mut links, 3, 2), [linked(3, 2), write(2, "a")]);
    assert_eq!(asked(|out| links.on_dialed(160, ServerId(3), LinkId(3), out)), [Close(LinkId(3))]);
    assert_eq!(links.next_deadline_ms(), None);
}

/// Whoever calls, no more than so many are remembered.
#[test]
fn strangers_are_bounded() {
    let mut links = Links::new(ServerId(2));
    for id in 0..LINKS_MAX as i64 {
        accepted(&mut links, 10 + id, 100 + id as u64);
    }
    assert_eq!(accepted(&mut links, 5_000, 1), [Close(LinkId(1))]);
    assert_eq!(send(&mut links, 5_000, "a"), []);
    asked(|out| links.on_closed(0, LinkId(103), out));
    assert_eq!(accepted(&mut links, 5_000, 2), [linked(5_000, 2)], "one that is gone is forgotten");
    assert_eq!(links.peers.len(), LINKS_MAX);
    assert_eq!(dialed(&mut links, 13, 3), [Close(LinkId(3))]);
}
