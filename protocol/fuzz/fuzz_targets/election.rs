//! The first message and the votes of an election connection.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("election"), |data: &[u8]| rookeeper_fuzz::election(data));
