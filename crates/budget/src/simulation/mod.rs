//! Simulates whole groups in virtual time. Members and minters join, leave, die, are suspended and are cut off; messages are
//! delayed, connections are lost, the broker restarts, calls arrive late. The laws: no token is spent twice, only the elected
//! process mints, no call is made before the broker has answered that no silence is recorded, and no window of five minutes
//! holds more calls than Bynder allows.

mod process;
mod world;

use std::time::Duration;

use rand::RngExt;

use self::process::Mutant;
use self::world::{BUDGET, World};

/// Bynder's limit of requests in five minutes.
const LIMIT: usize = 4500;
/// Histories in a normal test run; `CONNECTOR_HISTORIES` overrides it.
const HISTORIES: u64 = 30;
const MINUTE: Duration = Duration::from_mins(1);

fn histories() -> u64 {
    std::env::var("CONNECTOR_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES)
}

fn budget() -> f64 {
    f64::from(BUDGET)
}

fn world(seed: u64, members: usize) -> World {
    let mut world = World::new(seed);
    (0..members).for_each(|_| world.join());
    world
}

#[test]
fn whatever_happens_no_window_holds_more_than_bynder_allows() {
    let mut worst = (0, 0);
    for seed in 0..histories() {
        let mut world = world(seed, 1);
        let members = world.random.random_range(0..9);
        (0..members).for_each(|_| world.join());
        let often = world.random.random_range(0.0005_f64..0.05);
        let until = world.now + 15 * MINUTE;
        while world.now < until {
            world.step();
            if world.random.random_bool(often) {
                world.disturb();
            }
        }
        worst = worst.max((world.busiest, seed));
        assert!(world.busiest <= LIMIT, "history {seed}: {} calls in a window", world.busiest);
        assert_eq!(world.without_leave, 0, "history {seed}: calls that the broker has not let go");
    }
    println!(
        "{} histories of 15 minutes; the busiest window: {} calls (history {})",
        histories(),
        worst.0,
        worst.1
    );
}

/// Calls made in five minutes, after a minute of warm-up.
fn used(world: &mut World) -> f64 {
    world.run(MINUTE);
    let before = world.calls;
    world.run(5 * MINUTE);
    (world.calls - before) as f64
}

#[test]
fn a_group_uses_nearly_all_of_its_budget_however_many_its_members_are() {
    for members in [1, 2, 10, 50] {
        let used = used(&mut world(7, members));
        assert!((0.95 * budget()..=budget() + 40.0).contains(&used), "{members} members made {used} calls");
    }
}

#[test]
fn members_that_come_and_die_still_use_nearly_all_of_the_budget() {
    let mut world = world(11, 5);
    world.run(MINUTE);
    let before = world.calls;
    for _ in 0..5 {
        world.join();
        world.run(MINUTE / 2);
        // The process dies but its machine does not, so the broker learns at once.
        let minter = world.in_office().unwrap_or_default();
        world.processes[minter].connected = false;
        world.processes[minter].idle_until = Duration::MAX;
        world.run(MINUTE / 2);
    }
    let used = (world.calls - before) as f64;
    assert!(used >= 0.95 * budget(), "{used} calls");
}

#[test]
fn a_fleet_without_demand_mints_nothing() {
    let mut world = world(3, 5);
    world.run(MINUTE);
    world.processes.iter_mut().for_each(|process| process.idle_until = Duration::MAX);
    world.run(MINUTE / 12);
    let minted = world.minted();
    world.run(5 * MINUTE);
    assert_eq!(world.minted(), minted);
}

#[test]
fn fresh_work_goes_before_the_backlog_across_processes() {
    let mut world = world(5, 4);
    world.run(MINUTE);
    let before = world.calls_by_lane();
    world.run(MINUTE);
    let after = world.calls_by_lane();
    let (fresh, backlog) = (after.0 - before.0, after.1 - before.1);
    assert!(fresh > 3 * backlog, "{fresh} fresh calls, {backlog} of the backlog");
}

/// Starts a block; returns the calls made into it.
fn block(world: &mut World) -> usize {
    world.block = Some(world.now);
    world.run(Duration::from_secs(5));
    assert!(world.blocked_calls > 0);
    world.blocked_calls
}

/// Runs a history with a block; returns its calls that the broker had not allowed.
fn calls_without_leave(seed: u64, mutant: Option<Mutant>) -> usize {
    let mut world = World::new(seed);
    world.mutant = mutant;
    (0..5).for_each(|_| world.join());
    world.run(MINUTE / 2);
    block(&mut world);
    world.without_leave
}

#[test]
fn a_process_that_spends_a_token_before_it_has_looked_for_a_silence_is_seen() {
    for seed in 0..histories() / 4 {
        assert_eq!(calls_without_leave(seed, None), 0, "history {seed}");
    }
    for mutant in [Mutant::SpendsBeforeTheAnswer, Mutant::IgnoresTheSilence] {
        assert!((0..histories()).any(|seed| calls_without_leave(seed, Some(mutant)) > 0), "{mutant:?}");
    }
}

#[test]
fn a_block_is_waited_out_by_all_latecomers_and_heirs_too_and_then_tried_by_one_call() {
    for seed in 0..histories() / 4 {
        let mut world = world(seed, 5);
        world.run(MINUTE);
        let in_block = block(&mut world);
        for round in 0..30 {
            world.run(MINUTE / 6);
            if round % 7 == 0 {
                world.join();
                let heir = world.in_office().unwrap_or_default();
                world.kill(heir);
            }
        }
        assert_eq!(world.blocked_calls, in_block, "history {seed}: a call into the block");
        // The probe after the silence is refused too: another silence, caused by this one call.
        world.block = Some(world.now);
        world.run(2 * MINUTE);
        assert_eq!(world.blocked_calls, in_block + 1, "history {seed}");
        world.run(5 * MINUTE);
        let before = world.calls;
        world.run(5 * MINUTE);
        assert_eq!(world.blocked_calls, in_block + 1, "history {seed}");
        assert!(world.calls - before > 3000, "history {seed}: {} calls", world.calls - before);
    }
}

#[test]
fn calls_that_try_the_end_of_a_silence_and_are_not_answered_keep_the_group_closed_for_a_minute_each() {
    for seed in 0..histories() / 4 {
        let mut world = world(seed, 4);
        world.run(MINUTE);
        block(&mut world);
        world.unanswered = world.random.random_range(1..4);
        world.run(5 * MINUTE + 5 * MINUTE);
        let before = world.calls;
        world.run(5 * MINUTE);
        assert!(world.calls - before > 3000, "history {seed}: {} calls", world.calls - before);
    }
}

#[test]
fn who_was_cut_off_when_a_silence_began_keeps_it_though_nobody_is_left_who_saw_it() {
    for seed in 0..histories() / 4 {
        let mut world = world(seed, 2);
        world.run(MINUTE);
        world.processes[1].cut_until = world.now + Duration::from_secs(15);
        world.run(Duration::from_secs(3));
        let in_block = block(&mut world);
        world.kill(0);
        world.run(5 * MINUTE);
        assert_eq!(world.blocked_calls, in_block, "history {seed}: a call into the block");
    }
}
