//! A client's first frame.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("connect"), |data: &[u8]| rookeeper_fuzz::connect(data));
