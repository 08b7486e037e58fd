//! What operators do by hand to the folder of a member that does not run: look whether it is sound, copy it, put a copy in
//! its place, and write its zoo.cfg anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Ensemble;
use crate::ours;

/// What `rookeeper verify` says of how new a folder is: by these two the newest of several is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Newness {
    /// The current epoch.
    pub epoch: i64,
    /// The last zxid of the log.
    pub last_zxid: i64,
}

impl Ensemble {
    /// Checks the folder of a member that does not run, as `rookeeper verify` does: it has to be sound.
    pub fn verify(&self, id: u8) -> Result<Newness, String> {
        verify(&self.server(id).data_folder())
    }

    /// Copies the data folder of a member that does not run.
    pub fn copy_data(&mut self, id: u8) -> Result<TempDir, String> {
        assert!(!self.is_running(id), "the folder of a running member is not copied");
        let copy = tempfile::Builder::new().prefix("compat-copy-").tempdir().map_err(|error| error.to_string())?;
        copy_folder(&self.server(id).data_folder(), &copy.path().join("data"))?;
        Ok(copy)
    }

    /// Puts such a copy in the place of a member's data.
    pub fn restore_data(&mut self, id: u8, copy: &TempDir) -> Result<(), String> {
        assert!(!self.is_running(id), "the data of a running member are not removed");
        let folder = self.server(id).data_folder();
        std::fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        copy_folder(&copy.path().join("data"), &folder)
    }

    /// The path of a file beside a member's zoo.cfg.
    pub fn beside_zoo_cfg(&self, id: u8, name: &str) -> PathBuf {
        self.server(id).folder().join(name)
    }

    /// Takes the keys that begin with one of these out of the zoo.cfg of a member, and adds lines.
    pub fn rewrite(&self, id: u8, without: &[&str], lines: &[String]) -> Result<(), String> {
        let path = self.beside_zoo_cfg(id, "zoo.cfg");
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let text = std::fs::read_to_string(&path).map_err(failed)?;
        let kept = text.lines().filter(|line| !without.iter().any(|key| line.starts_with(key)));
        let kept: Vec<_> = kept.chain(lines.iter().map(String::as_str)).collect();
        std::fs::write(&path, kept.join("\n") + "\n").map_err(failed)
    }
}

/// What `rookeeper verify` says of a folder that has to be sound.
fn verify(folder: &Path) -> Result<Newness, String> {
    let done = Command::new(ours::binary()).arg("verify").arg(folder).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if !done.status.success() || !said.contains("sound") {
        return Err(format!("{}: {said}{}", folder.display(), String::from_utf8_lossy(&done.stderr)));
    }
    newness(&said).ok_or_else(|| format!("epoch and last zxid are not told in: {said}"))
}

fn newness(said: &str) -> Option<Newness> {
    let behind = |line: &str, word: &str| {
        let rest = said.lines().find(|text| text.starts_with(line))?.rsplit_once(word)?.1.trim();
        match rest.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => rest.parse().ok(),
        }
    };
    Some(Newness { epoch: behind("member", "current epoch ")?, last_zxid: behind("log", " to ")? })
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}
