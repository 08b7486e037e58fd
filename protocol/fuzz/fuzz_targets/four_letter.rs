//! The operator's commands.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("four_letter"), |data: &[u8]| rookeeper_fuzz::four_letter(data));
