//! A leader that says anything: whatever comes, the learner leaves or keeps to the rules.

use super::*;
use crate::zab::testing::Dice;

/// Runs with each seed.
const SEEDS: u64 = 400;

/// Packets in a run at most.
const PACKETS: usize = 60;

/// Most numbers are those that are due, the others may mean something or not.
fn zxid(dice: &mut Dice, kind: PacketType, world: &World) -> Zxid {
    let (last, committed) = (world.state.last_logged(), world.state.history.committed());
    if dice.below(8) > 0 {
        return match kind {
            PacketType::Proposal | PacketType::Inform => last.next().max(z(2, 1)),
            PacketType::Commit | PacketType::CommitAndActivate => world.learner.uncommitted().next().unwrap_or(last),
            PacketType::Trunc => committed,
            PacketType::Snap => last,
            _ => z(2, 0),
        };
    }
    let some = [
        last,
        last.next(),
        Zxid(last.0.wrapping_sub(1)),
        committed,
        z(1, 1),
        z(2, 2),
        z(3, 0),
        z(3, 1),
        Zxid::ZERO,
        Zxid(-1),
        Zxid(i64::MIN),
        Zxid(i64::MAX),
    ];
    some[dice.below(some.len())]
}

/// Most packets are those that are due, so that a run comes to all stages.
fn packet_type(dice: &mut Dice, stage: Stage) -> PacketType {
    let due: &[PacketType] = match stage {
        Stage::Introduced => &[PacketType::LeaderInfo, PacketType::NewLeader],
        Stage::Awaiting => &[PacketType::Diff, PacketType::Trunc, PacketType::Snap],
        Stage::Copying => &[PacketType::Proposal, PacketType::Commit, PacketType::NewLeader],
        Stage::Prepared => &[PacketType::Proposal, PacketType::Commit, PacketType::UpToDate],
        Stage::Serving => {
            &[PacketType::Proposal, PacketType::Commit, PacketType::Inform, PacketType::CommitAndActivate]
        }
        _ => &[],
    };
    match due.len() {
        0 => PacketType::ALL[dice.below(PacketType::ALL.len())],
        _ if dice.below(6) == 0 => PacketType::ALL[dice.below(PacketType::ALL.len())],
        count => due[dice.below(count)],
    }
}

/// The disk does what was asked of it.
fn disk(world: &mut World, dice: &mut Dice) {
    for action in std::mem::take(&mut world.actions) {
        let World { state, learner, actions, now_ms } = world;
        match action {
            Action::PersistEpochs(epochs) => {
                state.history.flushed(state.last_logged());
                learner.on_epochs_persisted(state, *now_ms, epochs, actions);
            }
            Action::Truncate(keep) => {
                // Perhaps there was no record with this number.
                let end = if dice.below(4) == 0 { z(1, 1).min(keep) } else { keep };
                learner.on_truncated(state, *now_ms, end, actions);
            }
            Action::ReceiveSnapshot(zxid) => learner.on_snapshot_received(state, *now_ms, zxid),
            _ => {}
        }
    }
}

/// How far the learner came.
fn run(seed: u64) -> Stage {
    let mut dice = Dice(seed);
    let mut stage = Stage::Connecting;
    let mut world = World::new(dice.below(3) > 0, z(1, 1));
    world.learner.on_connected(&world.state, 0, &mut world.actions);
    for _ in 0..PACKETS {
        stage = stage.max(world.learner.stage());
        let kind = packet_type(&mut dice, world.learner.stage());
        let zxid = zxid(&mut dice, kind, &world);
        let data = match dice.below(4) {
            0 => None,
            1 => Some(vec![0; dice.below(20)]),
            _ => Some(2i64.to_be_bytes().to_vec()),
        };
        let packet = quorum_packet(kind, zxid, data.as_deref());
        let World { state, learner, actions, now_ms } = &mut world;
        learner.on_packet(state, *now_ms, packet, actions);
        if world.actions.iter().any(|action| matches!(action, Action::Leave(_))) {
            world.learner.end(&mut world.state, &mut world.actions);
            world.state.validate().unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
            return stage;
        }
        disk(&mut world, &mut dice);
        let valid = world.state.validate().and_then(|()| world.learner.validate(&world.state));
        valid.unwrap_or_else(|violation| panic!("seed {seed}, {kind:?} {zxid}: {violation}"));
    }
    stage
}

#[test]
fn nothing_that_a_leader_says_breaks_a_learner() {
    let mut served = 0;
    for seed in 0..SEEDS {
        served += usize::from(run(seed) == Stage::Serving);
    }
    assert!(served > SEEDS as usize / 10, "only {served} runs came so far");
}
