//! The tree as a stream.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("snapshot"), |data: &[u8]| rookeeper_fuzz::snapshot(data));
