//! The `rookeeper` binary.
fn main() {}
