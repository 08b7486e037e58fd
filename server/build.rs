//! Tells the program when it was built; `SOURCE_DATE_EPOCH` makes builds repeatable.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|seconds| seconds.parse::<u64>().is_ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).to_string();
    let built = given.unwrap_or_else(now);
    // Cargo reads this script's output.
    #[allow(clippy::print_stdout)]
    {
        println!("cargo::rustc-env=ROOKEEPER_BUILT={built}");
        println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
        println!("cargo::rerun-if-changed=src");
    }
}
