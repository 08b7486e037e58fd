//! Frames in a stream that is cut anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("frames"), |data: &[u8]| rookeeper_fuzz::frames(data));
