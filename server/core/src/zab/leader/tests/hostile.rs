//! Learners that say anything: whatever comes, the leader keeps to the rules.

use super::*;
use crate::zab::testing::Dice;

/// Runs with each seed.
const SEEDS: u64 = 300;

/// Packets in a run.
const PACKETS: usize = 120;

/// Learners at a time, by link: servers 1, 2 and 4 of the ensemble, and one that nobody knows.
const LINKS: u64 = 4;

fn server(link: u64) -> ServerId {
    ServerId([1, 2, 4, 9][(link - 1) as usize % 4])
}

/// Most packets are those that are due, so that learners come to all phases.
fn packet_type(dice: &mut Dice, phase: Phase) -> PacketType {
    let due: &[PacketType] = match phase {
        Phase::Connected => &[PacketType::FollowerInfo, PacketType::ObserverInfo],
        Phase::Informed => &[PacketType::AckEpoch],
        Phase::Synchronizing => &[PacketType::Ack],
        Phase::UpToDate => &[PacketType::Ack, PacketType::Ack, PacketType::Ping],
        _ => &[],
    };
    match due.len() {
        0 => PacketType::ALL[dice.below(PacketType::ALL.len())],
        _ if dice.below(10) == 0 => PacketType::ALL[dice.below(PacketType::ALL.len())],
        count => due[dice.below(count)],
    }
}

/// What a learner may have, or may not.
fn zxid(dice: &mut Dice, kind: PacketType, world: &World, learner: &ServedLearner) -> Zxid {
    let last = world.state.last_logged();
    if dice.below(8) > 0 {
        return match kind {
            PacketType::Ack if learner.phase == Phase::UpToDate => learner.acked.map_or(learner.sent, Zxid::next),
            PacketType::Ack => z(2, 0),
            PacketType::AckEpoch => [z(1, 1), z(1, 2), last, Zxid::ZERO][dice.below(4)],
            _ => z(1, 0),
        };
    }
    let some = [last, last.next(), z(1, 5), z(2, 0), z(3, 0), z(3, 1), Zxid(-1), Zxid(i64::MIN), Zxid(i64::MAX)];
    some[dice.below(some.len())]
}

fn data(dice: &mut Dice, kind: PacketType, link: u64) -> Option<Vec<u8>> {
    match (dice.below(12), kind) {
        (0, _) => None,
        (1, _) => Some(vec![0xff; dice.below(24)]),
        (_, PacketType::AckEpoch) => Some(1i32.to_be_bytes().to_vec()),
        _ => Some([&server(link).0.to_be_bytes()[..], &0x10000i32.to_be_bytes(), &[0; 8]].concat()),
    }
}

/// The driver does what was asked of it. False if the leader leaves.
fn drive(world: &mut World, dice: &mut Dice) -> bool {
    while !world.actions.is_empty() {
        for action in std::mem::take(&mut world.actions) {
            let World { state, leader, actions, now_ms } = world;
            match action {
                Action::Leave(_) => return false,
                Action::PersistEpochs(epochs) => leader.on_epochs_persisted(state, *now_ms, epochs, actions),
                Action::Append(record) => {
                    state.history.flushed(record.zxid);
                    leader.on_flushed(state, actions);
                }
                Action::Establish(_) => leader.established(state, *now_ms, actions),
                Action::OpenSnapshot(link) => leader.on_snapshot_opened(link, state.history.committed(), actions),
                Action::SendSnapshot(link) => leader.on_snapshot_sent(state, *now_ms, link, actions),
                Action::ReadHistory { link, after, through, .. } => {
                    let piece = match state.history.at_or_before(after) {
                        Some(at_or_before) if dice.below(4) > 0 => {
                            let wanted = state.history.window_after(after).filter(|record| record.zxid <= through);
                            HistoryPiece::Records { at_or_before, records: wanted.take(2).cloned().collect() }
                        }
                        _ => HistoryPiece::Unavailable,
                    };
                    leader.on_history(state, *now_ms, link, piece, actions);
                }
                _ => {}
            }
        }
    }
    true
}

/// How many transactions were committed.
fn run(seed: u64) -> u32 {
    let mut dice = Dice(seed);
    let mut world = World::new(z(1, 1), &[z(1, 1), z(1, 2)]);
    // Links are numbered anew when a learner comes again.
    let mut links: Vec<u64> = (1..=LINKS).collect();
    for _ in 0..PACKETS {
        let slot = dice.below(links.len());
        let link = LearnerLink(links[slot]);
        if !world.leader.learners().contains_key(&link) {
            links[slot] += LINKS;
            world.leader.on_connected(&world.state, 0, LearnerLink(links[slot]), &mut world.actions);
            continue;
        }
        let learner = &world.leader.learners()[&link];
        let kind = packet_type(&mut dice, learner.phase);
        let (zxid, data) = (zxid(&mut dice, kind, &world, learner), data(&mut dice, kind, link.0));
        let World { state, leader, actions, now_ms } = &mut world;
        leader.on_packet(state, *now_ms, link, quorum_packet(kind, zxid, data.as_deref()), actions);
        if leader.stage() == Stage::Broadcasting && dice.below(4) == 0 {
            let next = world.leader.last_proposed().next();
            let record = record(next);
            let mut frame = BytesMut::new();
            write_packet(&mut frame, PacketType::Proposal, next, Some(&record.payload));
            world.leader.propose(&mut world.state, 0, [record], &frame.freeze(), &mut world.actions);
        }
        let stays = drive(&mut world, &mut dice);
        let World { state, leader, .. } = &world;
        let valid = state.validate().and_then(|()| leader.validate(state));
        valid.unwrap_or_else(|violation| panic!("seed {seed}, {kind:?} {zxid} of {link:?}: {violation}"));
        if !stays {
            break;
        }
    }
    let committed = world.state.history.committed();
    if committed.epoch() == 2 { committed.counter() } else { 0 }
}

#[test]
fn nothing_that_learners_say_breaks_a_leader() {
    let committed: u32 = (0..SEEDS).map(run).sum();
    assert!(committed > SEEDS as u32, "only {committed} transactions were committed");
}
