//! Packets between a learner and its leader.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("packets"), |data: &[u8]| rookeeper_fuzz::packets(data));
