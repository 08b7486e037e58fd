//! For tests of drivers: a log with something in it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use rookeeper_storage::fs::RealFs;
use rookeeper_storage::log::LogWriter;

use super::recovery::{Rebuild, Store, store_options};
use crate::config::{JvmFlags, embedded_default};
use crate::runtime::tree_rules;
use rookeeper_storage::kv::rocks::RocksEngine;

/// A log in this folder, of so many records with the numbers from 1 on, in many segments.
pub(crate) fn log_of(dir: &Path, records: i64) -> LogWriter<RealFs> {
    let mut config = embedded_default(&JvmFlags::default()).unwrap();
    (config.data_dir, config.data_log_dir, config.pre_alloc_size_kb) = (dir.into(), dir.into(), 1);
    let mut rebuild = Rebuild::new(tree_rules(&config), 1);
    let (store, _) = Store::open(&RealFs, &store_options(&config), &RocksEngine::default(), &mut rebuild).unwrap();
    let mut log = store.log;
    for zxid in 1..=records {
        log.append(zxid, &[0; 1000]).unwrap();
        log.flush().unwrap();
    }
    log
}
