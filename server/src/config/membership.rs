//! This server among others: who is named in the list of servers, which of them this one is, and
//! whether that makes an ensemble (`QuorumPeerConfig.setupQuorumPeerConfig`).

use std::path::{Path, PathBuf};

use rookeeper_core::ensemble::{EnsembleConfig, Role, is_config_key};
use rookeeper_protocol::types::ServerId;

use super::build::{Source, info};
use super::error::{Origin, Problem};
use super::keys::Kind;
use super::limits;
use super::members::{self, MemberLine};
use super::reader::Reader;
use super::server_config::EnsembleSettings;
use super::value;

pub(super) fn read(reader: &mut Reader, source: &Source<'_>, data_dir: &Path) -> EnsembleSettings {
    let multi_address = multi_address(reader);
    let mut ensemble = EnsembleSettings {
        my_id: None,
        members: EnsembleConfig::default(),
        next_members: None,
        distributed: false,
        dynamic_config_file: reader.given("dynamicConfigFile").map(PathBuf::from),
        limits: limits::read(reader, multi_address),
    };
    let Source::File { path } = source else {
        return ensemble;
    };
    match read_members(reader, path, ensemble.dynamic_config_file.as_deref(), multi_address) {
        Ok((members, next)) => {
            ensemble.members = members;
            ensemble.next_members = next;
        }
        Err(problems) => {
            reader.settings.problems.extend(problems);
            return ensemble;
        }
    }
    ensemble.my_id = read_my_id(reader, data_dir);
    ensemble.distributed = count(reader, &ensemble.members);
    check_role(reader, &ensemble);
    if ensemble.distributed {
        check_distributed(reader, path, &ensemble);
    }
    ensemble
}

type Lists = (EnsembleConfig, Option<EnsembleConfig>);

fn multi_address(reader: &Reader) -> bool {
    reader.switch("multiAddress.enabled")
        || reader
            .settings
            .properties_under("zookeeper.multiAddress.enabled")
            .iter()
            .any(|(_, setting)| value::parse_switch(&setting.value) == Some(true))
}

fn read_members(
    reader: &Reader,
    path: &Path,
    dynamic_file: Option<&Path>,
    multi_address: bool,
) -> Result<Lists, Vec<Problem>> {
    for name in ["server.N", "group.N", "weight.N", "version"] {
        reader.setting(name);
    }
    let lines: Vec<_> = reader
        .settings
        .file_settings()
        .filter(|(name, _)| is_config_key(name) || *name == "version")
        .map(|(name, setting)| MemberLine {
            key: name.to_owned(),
            value: setting.raw.clone(),
            origin: setting.origin.clone(),
        })
        .collect();
    let Some(dynamic_file) = dynamic_file else {
        return Ok((members::parse(&lines, multi_address)?, None));
    };
    let misplaced: Vec<_> = lines
        .iter()
        .filter(|line| line.key != "version")
        .map(|line| {
            let text = format!("must stand in {}, since dynamicConfigFile is set", dynamic_file.display());
            Problem::new(Some(line.origin.clone()), Some(&line.key), text)
        })
        .collect();
    if !misplaced.is_empty() {
        return Err(misplaced);
    }
    let members = members::read_dynamic_file(dynamic_file, multi_address)?;
    let mut next = path.as_os_str().to_owned();
    next.push(".dynamic.next");
    let next = PathBuf::from(next);
    let next = next.exists().then(|| members::read_next_file(&next, multi_address)).transpose()?;
    Ok((members, next))
}

/// The first line of `dataDir/myid`, which Java does not trim. A server alone needs no such file,
/// but a wrong one stops it all the same.
fn read_my_id(reader: &mut Reader, data_dir: &Path) -> Option<ServerId> {
    if data_dir.as_os_str().is_empty() {
        return None;
    }
    let path = data_dir.join("myid");
    if !path.is_file() {
        return None;
    }
    let mut refuse = |text: String| reader.settings.problems.push(Problem::new(Some(Origin::file(&path)), None, text));
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            refuse(format!("cannot be read: {error}"));
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    let id = value::parse_long(line).map(ServerId);
    if id.is_none() {
        refuse(format!("{line:?} is no server id; the file must hold one whole number and no other character"));
    }
    id
}

/// Java's rules about how many servers there are; true if they form an ensemble.
fn count(reader: &mut Reader, members: &EnsembleConfig) -> bool {
    let standalone = reader.switch("standaloneEnabled");
    let participants = members.participants().count();
    match members.check_counts(standalone) {
        Err(problem) => {
            let first = members.members.keys().next().map(|id| format!("server.{id}"));
            let origin = first.as_ref().and_then(|name| {
                reader.settings.file_settings().find(|(key, _)| key == name).map(|(_, setting)| setting.origin.clone())
            });
            let key = first.as_deref().or(Some("standaloneEnabled"));
            reader.settings.problems.push(Problem::new(origin, key, problem.to_string()));
        }
        Ok(()) if participants == 1 && standalone => {
            reader.settings.notes.push(info("one server.N line makes no ensemble; the server runs alone"));
        }
        Ok(()) => {}
    }
    participants > 1 || (!standalone && participants > 0)
}

/// The list of servers has the last word on who votes.
fn check_role(reader: &mut Reader, ensemble: &EnsembleSettings) {
    let own = ensemble.my_id.and_then(|id| ensemble.members.members.get(&id));
    let listed = own.map_or(Role::Participant, |server| server.role);
    let written = reader.text("peerType");
    match Role::named(&written) {
        Some(role) if role == listed => {}
        Some(_) => reader.warn("peerType", format!("{written:?} is not used; by the list of servers it is {listed}")),
        None => {
            let text = format!("{written:?} is not allowed; it must be participant or observer");
            reader.refuse("peerType", text);
        }
    }
}

/// `QuorumPeerConfig.checkValidity`.
fn check_distributed(reader: &mut Reader, path: &Path, ensemble: &EnsembleSettings) {
    for name in ["initLimit", "syncLimit"] {
        if reader.number(name) == Some(0) {
            let text = "is not set; an ensemble needs it".to_owned();
            let origin = reader.setting(name).map_or_else(|| Origin::file(path), |setting| setting.origin);
            reader.settings.problems.push(Problem::new(Some(origin), Some(name), text));
        }
    }
    // Java makes a number of it where it begins to connect (`QuorumCnxManager`), and ends there.
    if let Some(text) = reader.given("cnxTimeout").filter(|text| value::parse_int(text).is_none()) {
        reader.refuse("cnxTimeout", format!("{text:?} is not allowed; it must be {}", Kind::PlainInt.allowed()));
    }
    if ensemble.my_id.is_none() {
        let text = "an ensemble needs the file myid in dataDir, with the number of this server";
        reader.settings.problems.push(Problem::new(Some(Origin::file(path)), None, text));
    }
    if let Some(my_id) = ensemble.my_id.filter(|id| !ensemble.members.members.contains_key(id)) {
        let text = format!("has no server.{my_id}, the server that dataDir/myid names; correct one of the two");
        let list = ensemble.dynamic_config_file.as_deref().unwrap_or(path);
        reader.settings.problems.push(Problem::new(Some(Origin::file(list)), None, text));
    }
}
