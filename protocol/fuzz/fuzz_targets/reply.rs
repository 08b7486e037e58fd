//! What clients read: replies, watch events, the handshake's answer.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("reply"), |data: &[u8]| rookeeper_fuzz::reply(data));
