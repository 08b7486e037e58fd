//! A data folder and what stands in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A place for one server's files that goes with the test.
#[derive(Debug)]
pub(crate) struct Folder {
    _temporary: TempDir,
    root: PathBuf,
}

/// A record of the log: where it begins, and how long it is with its header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordAt {
    pub(crate) offset: usize,
    pub(crate) length: usize,
}

/// Bytes of a segment's and of a record's header (storage's design tells them).
const SEGMENT_HEADER: usize = 64;
const RECORD_HEADER: usize = 32;

impl Folder {
    pub(crate) fn new() -> Self {
        let temporary = TempDir::with_prefix("rookeeper-").unwrap();
        let root = temporary.path().to_path_buf();
        Self { _temporary: temporary, root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a configuration.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The newest segment of the log in `data`.
    pub(crate) fn segment(&self) -> PathBuf {
        let log = self.data().join("rookeeper/log");
        let files = fs::read_dir(&log).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|ext| ext == "log")).max().expect("a segment")
    }

    /// `rookeeper verify` on `data`.
    pub(crate) fn verify(&self) -> Output {
        verify(&self.data())
    }

    /// Everything in `data` must be as it should.
    pub(crate) fn must_be_sound(&self) {
        let output = self.verify();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.ends_with("\nsound\n"), "{text}");
    }
}

/// `rookeeper verify`.
pub(crate) fn verify(path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rookeeper")).arg("verify").arg(path).output().unwrap()
}

/// The records of a segment.
pub(crate) fn records(segment: &[u8]) -> Vec<RecordAt> {
    let mut records = Vec::new();
    let mut offset = SEGMENT_HEADER;
    while let Some(header) = segment.get(offset..offset + RECORD_HEADER) {
        let length = u32::from_le_bytes(header[4..8].try_into().unwrap()) as usize + RECORD_HEADER;
        // A sequence number is never 0.
        if header[8..16] == [0; 8] || offset + length > segment.len() {
            break;
        }
        records.push(RecordAt { offset, length });
        offset += length;
    }
    records
}
