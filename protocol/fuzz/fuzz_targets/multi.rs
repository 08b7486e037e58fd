//! The body of multi and multiRead.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("multi"), |data: &[u8]| rookeeper_fuzz::multi(data));
