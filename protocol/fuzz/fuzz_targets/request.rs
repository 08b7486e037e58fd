//! The body of every request.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("request"), |data: &[u8]| rookeeper_fuzz::request(data));
