//! The operator's commands as text, without what differs from run to run or from machine to machine.

use crate::view::View;

/// Fields of a connection's line that are times, or that a thread of Java's may count a moment after the client has read
/// the reply.
const CONNECTION_VARIES: [&str; 8] = ["queued=", "sent=", "est=", "lresp=", "llat=", "minlat=", "avglat=", "maxlat="];

/// Keys of `conf` and `dirs` whose values are this machine's.
const OWN_VALUES: [&str; 7] =
    ["clientPort=", "dataDir=", "dataDirSize=", "dataLogDir=", "dataLogSize=", "datadir_size: ", "logdir_size: "];

/// Keys of `mntr` that have the same value on both servers after the same script.
const SAME_METRICS: [&str; 11] = [
    "zk_server_state",
    "zk_ephemerals_count",
    "zk_num_alive_connections",
    "zk_outstanding_requests",
    "zk_znode_count",
    "zk_global_sessions",
    "zk_watch_count",
    "zk_approximate_data_size",
    "zk_local_sessions",
    "zk_connection_drop_probability",
    "zk_throttled_ops",
];

/// Keys of `mntr` that every monitoring of ZooKeeper reads, with values of their own on each server.
const KNOWN_METRICS: [&str; 11] = [
    "zk_version",
    "zk_avg_latency",
    "zk_min_latency",
    "zk_max_latency",
    "zk_packets_sent",
    "zk_packets_received",
    "zk_max_file_descriptor_count",
    "zk_open_file_descriptor_count",
    "zk_uptime",
    "zk_last_client_response_size",
    "zk_max_client_response_size",
];

/// Keys of `mntr` that have the same value on two members in the same place, after the same work.
const SAME_MEMBER_METRICS: [&str; 30] = [
    "zk_peer_state",
    "zk_observer_master_id",
    "zk_quorum_size",
    "zk_learners",
    "zk_synced_followers",
    "zk_synced_non_voting_followers",
    "zk_synced_observers",
    "zk_pending_syncs",
    "zk_min_proposal_size",
    "zk_max_proposal_size",
    "zk_last_proposal_size",
    "zk_proposal_count",
    "zk_commit_count",
    "zk_learner_proposal_received_count",
    "zk_learner_commit_received_count",
    "zk_revalidate_count",
    "zk_connection_revalidate_count",
    "zk_quit_leading_due_to_disloyal_voter",
    "zk_digest_mismatches_count",
    "zk_stale_sessions_expired",
    "zk_cnt_unavailable_time",
    "zk_cnt_leader_unavailable_time",
    "zk_cnt_follower_sync_time",
    "zk_cnt_observer_sync_time",
    "zk_cnt_quorum_ack_latency",
    "zk_cnt_commit_propagation_latency",
    "zk_cnt_proposal_latency",
    "zk_cnt_propagation_latency",
    "zk_outstanding_changes_queued",
    "zk_outstanding_changes_removed",
];

/// The reply to `word`, line by line.
pub fn normalise(word: &str, reply: &str, view: &View) -> Vec<String> {
    let mut lines: Vec<String> = reply.split('\n').map(str::to_owned).collect();
    for line in &mut lines {
        *line = sessions(line, view);
    }
    match word {
        "conf" | "dirs" => lines.iter_mut().for_each(|line| mask_value(line, &OWN_VALUES)),
        "cons" | "stat" => lines.iter_mut().for_each(|line| connection(line, view)),
        "dump" => lines = dump(&lines),
        "envi" => lines.iter_mut().for_each(environment),
        "hash" => lines.iter_mut().for_each(|line| digest(line, view)),
        "mntr" => return metrics(&lines),
        _ => {}
    }
    if matches!(word, "srvr" | "stat") {
        lines.iter_mut().for_each(|line| server(line, view));
    }
    // Connections, sessions and paths are kept in sets.
    match word {
        "cons" => lines.sort(),
        "stat" => sort_between(&mut lines, "Clients:", ""),
        "wchc" | "wchp" => {
            let mut groups = groups(lines.into_iter());
            groups.sort();
            lines = groups.concat();
        }
        _ => {}
    }
    lines
}

fn sessions(line: &str, view: &View) -> String {
    let named =
        view.sessions().iter().fold(line.to_owned(), |line, id| line.replace(&format!("0x{id:x}"), &view.session(*id)));
    match view.control() {
        Some(id) => named.replace(&format!("0x{id:x}"), "control"),
        None => named,
    }
}

fn mask_value(line: &mut String, keys: &[&str]) {
    for key in keys {
        if line.starts_with(key) {
            *line = format!("{key}…");
        }
    }
}

/// Masks what follows each key up to the next comma or parenthesis.
fn mask_fields(line: &mut String, keys: &[&str]) {
    for key in keys {
        if let Some(start) = line.find(key).map(|start| start + key.len()) {
            let end = line[start..].find([',', ')']).map_or(line.len(), |end| start + end);
            line.replace_range(start..end, "…");
        }
    }
}

fn connection(line: &mut String, view: &View) {
    let Some(port) = line.find(" /127.0.0.1:").map(|start| start + " /127.0.0.1:".len()) else { return };
    let end = line[port..].find('[').map_or(line.len(), |end| port + end);
    line.replace_range(port..end, "…");
    mask_fields(line, &CONNECTION_VARIES);
    zxid_after(line, "lzxid=0x", view);
    // What the comparison does on its own connection is its own affair.
    if line.contains("sid=control") {
        *line = " the comparison's own connection".to_owned();
        return;
    }
    // What a connection is selected for at this moment is a matter of threads.
    line.replace_range(line.find('[').unwrap_or(0)..line.find(']').unwrap_or(0), "[…");
}

fn zxid_after(line: &mut String, key: &str, view: &View) {
    if let Some(start) = line.find(key).map(|start| start + key.len()) {
        let end = line[start..].find(|c: char| !c.is_ascii_hexdigit()).map_or(line.len(), |end| start + end);
        if let Ok(zxid) = u64::from_str_radix(&line[start..end], 16) {
            line.replace_range(start..end, &view.zxid(zxid as i64));
        }
    }
}

fn server(line: &mut String, view: &View) {
    zxid_after(line, "Zxid: 0x", view);
    // How often was asked whether the server is ready counts, too.
    mask_value(line, &["Received: ", "Sent: "]);
    if let Some(version) = line.strip_prefix("Zookeeper version: ") {
        *line = format!("Zookeeper version: {}", version_shape(version));
    } else if let Some(latencies) = line.strip_prefix("Latency min/avg/max: ") {
        let parts: Vec<_> = latencies.split('/').map(|part| part.parse::<f64>().is_ok()).collect();
        *line = format!("Latency of {parts:?}");
    }
}

/// The version proper is compared, the build is not: `3.9.5-<hash>, built on <date>`.
fn version_shape(version: &str) -> String {
    let (number, rest) = version.split_once('-').unwrap_or((version, ""));
    format!("{number} built: {}", rest.contains(", built on "))
}

fn environment(line: &mut String) {
    if let Some((key, value)) = line.split_once('=') {
        *line = match key {
            "zookeeper.version" => format!("{key}={}", version_shape(value)),
            _ => format!("{key}=…"),
        };
    }
}

fn digest(line: &mut String, view: &View) {
    if let Some((zxid, digest)) = line.split_once(": ") {
        let zxid = u64::from_str_radix(zxid, 16).map_or("not hex".to_owned(), |zxid| view.zxid(zxid as i64));
        *line = format!("{zxid}: {}", digest.parse::<i64>().is_ok());
    }
}

/// Which sessions share a bucket of deadlines depends on the moment they came: the buckets are left out.
fn dump(lines: &[String]) -> Vec<String> {
    let lines = lines.iter().filter(|line| !line.contains(" expire at ")).map(|line| {
        let mut line = line.clone();
        if line.contains("Sets (") {
            let start = line.find(" (").unwrap_or(0);
            let count = line.find(")/(").map_or("", |slash| &line[slash + 2..]).to_owned();
            line.replace_range(start.., &format!(" (buckets)/{count}"));
        }
        if let Some(port) = line.find("ip: /127.0.0.1:") {
            let end = line.find(" sessionId").unwrap_or(line.len());
            line.replace_range(port..end, "ip: …");
        }
        line
    });
    let mut groups = groups(lines);
    // Below the headings, which have several words, the owners of ephemerals come in no order.
    groups.chunk_by_mut(|_, next| !next[0].is_empty() && !next[0].contains(' ')).for_each(|part| part[1..].sort());
    groups.concat()
}

fn metrics(lines: &[String]) -> Vec<String> {
    let mut shown = values(lines, &SAME_METRICS);
    shown.extend(KNOWN_METRICS.iter().map(|key| format!("{key}: {}", value(lines, key).is_some())));
    shown.extend(lines.iter().filter(|line| !line.is_empty() && !line.starts_with("zk_")).cloned());
    shown
}

fn value<'a>(lines: &'a [String], key: &str) -> Option<(&'a str, &'a str)> {
    lines.iter().find_map(|line| line.split_once('\t').filter(|(known, _)| *known == key))
}

fn values(lines: &[String], keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| format!("{key}: {:?}", value(lines, key).map(|(_, value)| value))).collect()
}

/// The reply of a member of an ensemble to `mntr`.
pub fn member_metrics(reply: &str) -> Vec<String> {
    let lines: Vec<_> = reply.split('\n').map(str::to_owned).collect();
    let mut shown = metrics(&lines);
    shown.extend(values(&lines, &SAME_MEMBER_METRICS));
    // Whether a learner without data comes before or after the leader serves decides which of the two Java sends it.
    let syncs = ["zk_diff_count", "zk_snap_count"].map(|key| value(&lines, key)?.1.parse::<u64>().ok());
    shown.push(format!("synchronizations: {:?}", syncs.into_iter().sum::<Option<u64>>()));
    shown
}

/// The names that a reply to `mntr` has, in its order.
pub fn metric_names(reply: &str) -> Vec<String> {
    reply.lines().filter_map(|line| line.split_once('\t')).map(|(name, _)| name.to_owned()).collect()
}

fn sort_between(lines: &mut [String], from: &str, to: &str) {
    let Some(start) = lines.iter().position(|line| line == from).map(|start| start + 1) else { return };
    let end = lines[start..].iter().position(|line| line == to).map_or(lines.len(), |end| start + end);
    lines[start..end].sort();
}

/// Groups of one line and the indented lines below it, which come in no order.
fn groups(lines: impl Iterator<Item = String>) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    for line in lines {
        match groups.last_mut() {
            Some(group) if line.starts_with('\t') => group.push(line),
            _ => groups.push(vec![line]),
        }
    }
    groups.iter_mut().for_each(|group| group[1..].sort());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_keeps_what_a_script_decides() {
        let line = " /127.0.0.1:55690[1](queued=0,recved=3,sent=3,sid=0x1,lop=EXIS,est=17,to=30000,lcxid=0x2,lzxid=0x65,lresp=33,llat=1,minlat=0,avglat=4,maxlat=9)";
        assert_eq!(
            normalise("cons", line, &View::new(100)),
            [
                " /127.0.0.1:…[…](queued=…,recved=3,sent=…,sid=0x1,lop=EXIS,est=…,to=30000,lcxid=0x2,lzxid=0x+1,lresp=…,llat=…,minlat=…,avglat=…,maxlat=…)"
            ]
        );
    }

    #[test]
    fn a_dump_keeps_sessions_and_ephemerals() {
        let text = "SessionTracker dump:\nSession Sets (2)/(2):\n1 expire at Sat:\n\t0x2\n1 expire at Sun:\n\t0x1\nephemeral nodes dump:\nSessions with Ephemerals (1):\n0x1:\n\t/e\n";
        assert_eq!(
            normalise("dump", text, &View::new(100)),
            [
                "SessionTracker dump:",
                "Session Sets (buckets)/(2):",
                "\t0x1",
                "\t0x2",
                "ephemeral nodes dump:",
                "Sessions with Ephemerals (1):",
                "0x1:",
                "\t/e",
                ""
            ]
        );
    }
}
