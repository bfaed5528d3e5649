//! Whole groups in virtual time: members join, leave, crash, stand still and are cut off, messages are late or lost,
//! clocks run apart and jump, calls take their time to arrive. However it comes, no window of five minutes holds more calls than Bynder allows.

mod world;

use std::time::Duration;

use rand::RngExt;

use self::world::{BUDGET, World};

/// Bynder's limit of requests in five minutes.
const LIMIT: usize = 4500;
/// All shares together, at any moment: the budget and what up to nine newcomers may use before they have theirs.
const SHARES: f64 = BUDGET * 1.09 + 1.0;
/// Histories in a plain test run; `CONNECTOR_HISTORIES` asks for more.
const HISTORIES: u64 = 60;

fn histories() -> u64 {
    std::env::var("CONNECTOR_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES)
}

#[test]
fn whatever_happens_no_window_holds_more_than_bynder_allows() {
    let (mut worst, mut most) = ((0, 0), 0.0_f64);
    for seed in 0..histories() {
        let mut world = World::new(seed);
        let members = world.random.random_range(1..7);
        for _ in 0..members {
            world.join();
        }
        let often = world.random.random_range(5_u32..400);
        for _ in 0..9000 {
            world.step();
            if world.random.random_ratio(1, often) {
                world.disturb();
            }
        }
        worst = worst.max((world.busiest, seed));
        most = most.max(world.highest);
        assert!(world.highest <= SHARES, "history {seed}: shares of {} calls in all", world.highest);
        assert!(world.busiest <= LIMIT, "history {seed}: {} calls in a window", world.busiest);
    }
    println!(
        "{} histories of 15 minutes; the busiest window: {} calls (history {}); all shares together: {most:.0} at most",
        histories(),
        worst.0,
        worst.1
    );
}

#[test]
fn a_quiet_group_uses_nearly_all_of_its_budget() {
    for members in [1, 2, 5, 9] {
        let mut world = World::new(7);
        for _ in 0..members {
            world.join();
        }
        (0..600).for_each(|_| world.step());
        let before = world.calls;
        (0..3000).for_each(|_| world.step());
        let used = world.calls - before;
        assert!((3800..=4050).contains(&used), "{members} members made {used} calls in five minutes");
    }
}

#[test]
fn members_that_pause_for_breath_still_use_nearly_all_of_the_budget() {
    let mut world = World::new(11);
    (0..5).for_each(|_| world.join());
    let mut before = 0;
    for tick in 0..6000 {
        if tick == 1200 {
            before = world.calls;
        }
        // Each wants nothing for up to three seconds, every ten seconds or so: together they want twice the budget.
        if tick % 20 == 0 {
            let index = world.random.random_range(0..5);
            world.processes[index].idle_until =
                world.now + Duration::from_millis(world.random.random_range(100..3000));
        }
        world.step();
    }
    let allowed = BUDGET * 480.0 / 300.0;
    let used = (world.calls - before) as f64;
    assert!(used >= 0.95 * allowed, "{used} of {allowed}");
}

#[test]
fn who_had_nothing_to_do_gets_an_equal_part_of_what_another_used_up() {
    // So small that a newcomer's part is one call in many announcements.
    let mut world = World::new(5);
    world.budget = 800.0;
    (0..4).for_each(|_| world.join());
    let until = world.now + Duration::from_mins(1);
    world.processes.iter_mut().skip(1).for_each(|process| process.idle_until = until);
    (0..1500).for_each(|_| world.step());
    for process in &mut world.processes {
        let clock = process.clock(world.now);
        let calls = process.member.rate(clock) * 300.0;
        assert!((calls - 200.0).abs() < 10.0, "member {} may make {calls} calls", process.name);
    }
}

#[test]
fn one_that_wants_much_gets_what_the_others_leave() {
    let mut world = World::new(3);
    (0..5).for_each(|_| world.join());
    for process in world.processes.iter_mut().filter(|process| process.name != 1) {
        process.idle_until = Duration::MAX;
    }
    (0..1200).for_each(|_| world.step());
    let before = world.calls;
    (0..3000).for_each(|_| world.step());
    let used = world.calls - before;
    assert!(used > 3700, "it made {used} calls in five minutes");
}

#[test]
fn a_block_is_outwaited_by_everybody_and_then_tried_by_few() {
    for seed in 0..histories() / 4 {
        let mut world = World::new(seed);
        (0..5).for_each(|_| world.join());
        (0..600).for_each(|_| world.step());
        world.last_call_in_block = Some(world.now);
        (0..100).for_each(|_| world.step());
        let in_block = world.blocked_calls;
        assert!(in_block > 0);
        // Latecomers find the silence on record, or hear of it.
        for round in 0..30 {
            (0..100).for_each(|_| world.step());
            if round % 7 == 0 {
                world.join();
            }
        }
        assert_eq!(world.blocked_calls, in_block, "history {seed}: somebody called into the block");
        let before = world.calls;
        (0..200).for_each(|_| world.step());
        let tried = world.calls;
        (0..3000).for_each(|_| world.step());
        assert_eq!(world.blocked_calls, in_block, "history {seed}");
        assert!(
            world.calls - tried > 3000,
            "history {seed}: {} then {}",
            tried - before,
            world.calls - tried
        );
    }
}

#[test]
fn calls_into_the_end_of_a_silence_that_nobody_answers_keep_nobody_closed() {
    for seed in 0..histories() / 4 {
        let mut world = World::new(seed);
        (0..4).for_each(|_| world.join());
        (0..600).for_each(|_| world.step());
        world.last_call_in_block = Some(world.now);
        (0..100).for_each(|_| world.step());
        assert!(world.blocked_calls > 0);
        world.unanswered = world.random.random_range(1..5);
        // The silence, and each of them given up after a minute, or two where they crossed.
        (0..3300 + 4 * 1200).for_each(|_| world.step());
        let before = world.calls;
        (0..3000).for_each(|_| world.step());
        assert!(
            world.calls - before > 3000,
            "history {seed}: {} calls in five minutes",
            world.calls - before
        );
    }
}

#[test]
fn who_was_cut_off_when_a_silence_began_keeps_it_though_nobody_is_left_to_tell() {
    for seed in 0..histories() / 4 {
        let mut world = World::new(seed);
        world.lost = 0.0;
        (0..2).for_each(|_| world.join());
        (0..600).for_each(|_| world.step());
        world.processes[1].cut_until = world.now + Duration::from_secs(15);
        (0..100).for_each(|_| world.step());
        world.last_call_in_block = Some(world.now);
        (0..20).for_each(|_| world.step());
        assert!(world.blocked_calls > 0);
        world.processes.swap_remove(0);
        let in_block = world.blocked_calls;
        (0..3200).for_each(|_| world.step());
        assert_eq!(world.blocked_calls, in_block, "history {seed}: it called into the block");
        (0..200).for_each(|_| world.step());
        assert_eq!(world.blocked_calls, in_block, "history {seed}: it came too early");
    }
}
