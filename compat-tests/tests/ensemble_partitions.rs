//! Members on hosts of their own, network namespaces, whose links are cut in every shape, slow or lossy, while
//! histories are recorded: what clients saw is linearizable, and once all is well again the members are equal.
//!
//! Links that are slow by their rate need the kernel's `tbf`, those that are by their delay its `netem`, which some kernels
//! do without: that is said then, and those faults are left out.
//!
//! Needs root, iproute2 and iptables (`provision/provision.sh network`). With `COMPAT_SUBJECT=java` the members are
//! Apache ZooKeeper.

use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::ensemble::Ensemble;
use rookeeper_compat_tests::history::Recording;
use rookeeper_compat_tests::rng::Rng;

/// Operations that clients are answered during a fault, and after it.
const OPERATIONS: u64 = 60;

/// Faults drawn from the seed, behind one of each shape.
const DRAWN: usize = 4;

/// A link that a snapshot of the tests' trees passes in a second.
const SLOW_KILOBITS: u32 = 512;

/// How long packets are on their way on a link that is far, and by how much that varies: they overtake each other.
const DELAY_MS: u32 = 80;
const JITTER_MS: u32 = 40;

/// One of so many packets is lost on a lossy link.
const LOST_ONE_IN: u32 = 20;

fn ok<T>(what: &str, result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// What happens to the links.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The leader and as many others as a minority has are cut off.
    LeaderInMinority,
    /// A minority without the leader is cut off.
    FollowersInMinority,
    /// The leader hears the others, and they do not hear it.
    LeaderUnheard,
    /// The others hear the leader, and it does not hear them.
    LeaderDeaf,
    /// Two members do not hear each other; the rest hears both.
    OneLinkCut,
    /// No member hears another, for a while.
    AllCut,
    /// The leader's link is slow.
    LeaderSlow,
    /// A follower's link is slow.
    FollowerSlow,
    /// Everyone loses packets.
    Lossy,
    /// What the leader sends takes long, now more and now less.
    LeaderFar,
    /// Everyone's packets do.
    AllFar,
}

/// Those that every kernel can do.
const FAULTS: [Fault; 9] = [
    Fault::LeaderInMinority,
    Fault::FollowersInMinority,
    Fault::LeaderUnheard,
    Fault::LeaderDeaf,
    Fault::OneLinkCut,
    Fault::AllCut,
    Fault::LeaderSlow,
    Fault::FollowerSlow,
    Fault::Lossy,
];

/// Those that need `netem`.
const FAULTS_OF_DELAY: [Fault; 2] = [Fault::LeaderFar, Fault::AllFar];

/// Does it, and returns those members that must be able to serve meanwhile; none where nobody needs to.
fn strike(ensemble: &Ensemble, fault: Fault, leader: u8) -> Result<Vec<u8>, String> {
    let network = ensemble.network()?;
    let all = ensemble.ids();
    let others: Vec<_> = all.iter().copied().filter(|id| *id != leader).collect();
    let minority = (all.len() - 1) / 2;
    match fault {
        Fault::LeaderInMinority => {
            let (with, without) = others.split_at(minority - 1);
            network.part(&[&[leader], with].concat(), without)?;
            Ok(without.to_vec())
        }
        Fault::FollowersInMinority => {
            let (minority, rest) = others.split_at(minority);
            let rest = [&[leader], rest].concat();
            network.part(minority, &rest)?;
            Ok(rest)
        }
        Fault::LeaderUnheard => {
            others.iter().try_for_each(|id| network.cut(leader, *id))?;
            Ok(others)
        }
        Fault::LeaderDeaf => {
            others.iter().try_for_each(|id| network.cut(*id, leader))?;
            Ok(others)
        }
        // Who leads then depends on who hears whom first: that clients are served is what counts.
        Fault::OneLinkCut => network.part(&[leader], &others[..1]).map(|()| Vec::new()),
        Fault::AllCut => {
            all.iter().try_for_each(|id| {
                let others: Vec<_> = all.iter().copied().filter(|other| other != id).collect();
                network.part(&[*id], &others)
            })?;
            Ok(Vec::new())
        }
        Fault::LeaderSlow => network.slow(leader, SLOW_KILOBITS).map(|()| Vec::new()),
        Fault::FollowerSlow => network.slow(others[0], SLOW_KILOBITS).map(|()| Vec::new()),
        Fault::Lossy => {
            all.iter().try_for_each(|id| network.lose(*id, LOST_ONE_IN))?;
            Ok(Vec::new())
        }
        Fault::LeaderFar => network.delay(leader, DELAY_MS, JITTER_MS).map(|()| Vec::new()),
        Fault::AllFar => {
            all.iter().try_for_each(|id| network.delay(*id, DELAY_MS, JITTER_MS))?;
            Ok(Vec::new())
        }
    }
}

fn faults(members: usize) {
    let seed = std::env::var("ROOKEEPER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| std::process::id().into());
    eprintln!("ROOKEEPER_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut ensemble = ok("start", Ensemble::start_on_hosts(&vec![subject_kind(); members]));
    let recording = ok("clients", Recording::start(&ensemble, seed));
    let mut shapes = FAULTS.to_vec();
    if ok("network", ensemble.network()).can_delay() {
        shapes.extend(FAULTS_OF_DELAY);
    } else {
        eprintln!("left out: {FAULTS_OF_DELAY:?}, since this kernel has no netem");
    }
    let drawn: Vec<_> = (0..DRAWN).map(|_| *rng.pick(&shapes)).collect();
    for fault in shapes.into_iter().chain(drawn) {
        let leader = ok("leader", ensemble.settle());
        let what = format!("{fault:?} with leader {leader}, seed {seed}");
        eprintln!("{what}");
        let serving = ok(&what, strike(&ensemble, fault, leader));
        if !serving.is_empty() {
            ok(&what, ensemble.settle_among(&serving));
        }
        match fault {
            Fault::AllCut => ok(&what, ensemble.wait_until_nobody_serves()),
            _ => ok(&what, recording.progress(OPERATIONS)),
        }
        ok(&what, ensemble.network().and_then(|network| network.heal()));
        ok(&what, ensemble.settle());
        ok(&what, recording.progress(OPERATIONS));
    }
    let answered = ok(&format!("histories, seed {seed}"), recording.end());
    ok("at the end", ensemble.compare_after_load(&ensemble.ids()));
    eprintln!("{answered} operations answered");
}

#[test]
fn the_links_of_three_members() {
    faults(3);
}

#[test]
fn the_links_of_five_members() {
    faults(5);
}
