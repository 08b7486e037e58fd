//! A transaction as it stands in the log.
#![no_main]

libfuzzer_sys::fuzz_target!(init: rookeeper_fuzz::seed("log_entry"), |data: &[u8]| rookeeper_fuzz::log_entry(data));
