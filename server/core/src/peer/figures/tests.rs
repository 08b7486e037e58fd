//! What a member counts and measures.

use super::*;

fn at(ms: i64) -> Now {
    Now { monotonic_ms: ms, wall_ms: 1_000_000 + ms }
}

#[test]
fn equal_values_are_one_sample_and_what_nobody_takes_is_bounded() {
    let mut figures = Figures::default();
    figures.sample(Measure::Proposal, 3, 2);
    figures.sample(Measure::Propagation, 3, 1);
    figures.sample(Measure::Proposal, 3, 1);
    // A clock that is behind another one's measures nothing.
    figures.sample(Measure::Proposal, -1, 1);
    let sample = |measure, ms, count| Sample { measure, ms, count };
    assert_eq!(figures.samples, [sample(Measure::Proposal, 3, 3), sample(Measure::Propagation, 3, 1)]);
    (0..2 * SAMPLES_MAX as i64).for_each(|ms| figures.sample(Measure::QuorumAck, ms, 1));
    assert_eq!(figures.samples.len(), SAMPLES_MAX);
}

#[test]
fn the_time_without_a_leader_lasts_over_several_elections() {
    let mut figures = Figures::default();
    figures.looks(at(100));
    figures.elected(at(150), PeerState::Leading);
    figures.role_ended(at(200), SyncCounts::default());
    figures.looks(at(210));
    figures.elected(at(240), PeerState::Following);
    figures.knows_epoch(at(250));
    figures.knows_epoch(at(260));
    figures.serves(at(300), PeerState::Following);
    let measured: Vec<_> = figures.samples.iter().map(|sample| (sample.measure, sample.ms)).collect();
    let expected =
        [(Measure::Election, 50), (Measure::Election, 30), (Measure::Unavailable, 200), (Measure::FollowerSync, 50)];
    assert_eq!((measured.as_slice(), figures.counts.looks), (&expected[..], 2));
}

#[test]
fn a_leaders_transactions_are_measured_when_they_are_committed_and_when_they_are_applied() {
    let mut figures = Figures::default();
    figures.proposed(at(10), Zxid(4), 4);
    figures.proposed(at(12), Zxid(6), 2);
    figures.committed(at(15), Zxid(5), true);
    figures.committed(at(15), Zxid(5), true);
    figures.applied(at(16), Zxid(5));
    figures.committed(at(18), Zxid(6), true);
    figures.applied(at(18), Zxid(6));
    let measured = |measure| {
        let samples = figures.samples.iter().filter(|sample| sample.measure == measure);
        samples.map(|sample| (sample.ms, sample.count)).collect::<Vec<_>>()
    };
    assert_eq!(measured(Measure::QuorumAck), [(5, 4), (3, 1), (6, 1)]);
    assert_eq!(measured(Measure::Propagation), [(6, 5), (4, 1)]);
    assert_eq!(figures.counts.commits, 6);
}
