//! Two clients against a small tree.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("session"), |data: &[u8]| rookeeper_fuzz::session(data));
