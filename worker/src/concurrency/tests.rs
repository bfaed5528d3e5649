//! The laws of the controller, with simulated services.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use http_client::{Operation, StatusClass};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::bounds::Bounds;
use super::controller::{Controller, Demand};

/// What a step does, over and over: one request, then work on this machine.
#[derive(Clone, Copy)]
struct World {
    /// The time of a request without load, in milliseconds.
    base: f64,
    /// Requests at once up to which the service is as fast as without load.
    capacity: f64,
    /// Times vary from one half to twice as long, more or less often.
    jitter: f64,
    /// The share of requests that fail, at once.
    failing: f64,
    class: StatusClass,
    /// The kinds of requests, in turn.
    kinds: &'static [Operation],
    /// Work after each request: milliseconds of one of the machine's two processors.
    work: f64,
    demand: Demand,
}

impl World {
    /// A service that takes 200 ms, however much is asked of it, and more jobs than permits.
    const SLOW: Self = Self {
        base: 200.0,
        capacity: f64::INFINITY,
        jitter: 0.0,
        failing: 0.0,
        class: StatusClass::Broken,
        kinds: &[Operation::Asset, Operation::DownloadPlace, Operation::UploadPlace, Operation::Save],
        work: 0.0,
        demand: Demand::Unmet,
    };

    fn of_capacity(capacity: f64) -> Self {
        Self { capacity, ..Self::SLOW }
    }
}

struct Simulation {
    controller: Controller,
    start: Instant,
    /// Microseconds since the start.
    now: u64,
    /// When each request ends, when it began, and whether it fails.
    under_way: BinaryHeap<Reverse<(u64, u64, bool)>>,
    /// Steps that wait for a processor or have one, by the time when they are done.
    working: BinaryHeap<Reverse<u64>>,
    processors: [u64; 2],
    random: StdRng,
    requests: usize,
}

impl Simulation {
    fn new(configured: Option<usize>) -> Self {
        let start = Instant::now();
        Self {
            controller: Controller::new(Bounds::new(configured), start),
            start,
            now: 0,
            under_way: BinaryHeap::new(),
            working: BinaryHeap::new(),
            processors: [0; 2],
            random: StdRng::seed_from_u64(1),
            requests: 0,
        }
    }

    /// Runs for these seconds; returns the number of permits at the end of each.
    fn run(&mut self, world: &World, seconds: u64) -> Vec<usize> {
        (0..seconds).map(|_| self.second(world)).collect()
    }

    fn second(&mut self, world: &World) -> usize {
        let end = self.now + 1_000_000;
        loop {
            while self.under_way.len() + self.working.len() < self.controller.limit() {
                self.begin(world);
            }
            let request = self.under_way.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let work = self.working.peek().map_or(u64::MAX, |Reverse(at)| *at);
            if request.min(work) > end {
                break;
            }
            self.now = request.min(work);
            if work <= request {
                self.working.pop();
            } else if let Some(Reverse((at, began, failed))) = self.under_way.pop() {
                self.answered(world, at, began, failed);
            }
        }
        self.now = end;
        let _ = self.controller.tick(world.demand, self.instant(end));
        self.controller.limit()
    }

    fn begin(&mut self, world: &World) {
        let load = ((self.under_way.len() + 1) as f64 / world.capacity).max(1.0);
        let jitter = (world.jitter * self.random.random_range(-1.0..1.0_f64)).exp();
        let failed = self.random.random_bool(world.failing);
        let took = if failed { 1000 } else { microseconds(world.base * load * jitter) };
        self.under_way.push(Reverse((self.now + took, self.now, failed)));
    }

    fn answered(&mut self, world: &World, at: u64, began: u64, failed: bool) {
        self.requests += 1;
        let class = if failed { world.class } else { StatusClass::Success };
        let took = Duration::from_micros(at - began);
        self.controller.ended(world.kinds[self.requests % world.kinds.len()], class, took, self.instant(at));
        if world.work > 0.0 {
            let free = self.processors.iter_mut().min().unwrap();
            *free = (*free).max(at) + microseconds(world.work);
            self.working.push(Reverse(*free));
        }
    }

    fn instant(&self, at: u64) -> Instant {
        self.start + Duration::from_micros(at)
    }
}

fn microseconds(milliseconds: f64) -> u64 {
    Duration::from_secs_f64(milliseconds / 1000.0).as_micros().try_into().unwrap()
}

/// The lowest and the highest number of permits in the last `seconds`, apart from the windows of measurements, in which
/// half of them are withheld.
fn settled(permits: &[usize], seconds: usize) -> (usize, usize) {
    let mut last = permits[permits.len() - seconds..].to_vec();
    last.sort_unstable();
    (last[seconds / 20], last[seconds - 1])
}

#[test]
fn permits_rise_to_the_bound_while_a_slow_service_keeps_its_pace() {
    let mut simulation = Simulation::new(None);
    assert_eq!(simulation.controller.limit(), 16);
    let permits = simulation.run(&World::SLOW, 60);
    assert_eq!(settled(&permits, 20), (64, 64), "{permits:?}");
}

#[test]
fn permits_never_exceed_the_configured_number_and_begin_with_it() {
    for most in [1, 2, 5, 100] {
        let permits = Simulation::new(Some(most)).run(&World::SLOW, 120);
        assert_eq!((permits[0], permits.iter().max(), permits.last()), (most, Some(&most), Some(&most)));
    }
}

#[test]
fn up_to_four_configured_permits_stay_whatever_the_services_do() {
    for most in 1..=4 {
        let world = World { capacity: 1.0, failing: 0.5, ..World::SLOW };
        assert!(Simulation::new(Some(most)).run(&world, 600).iter().all(|permits| *permits == most));
    }
}

#[test]
fn permits_settle_near_the_capacity_of_a_service() {
    for capacity in [6, 12, 24, 40] {
        let permits = Simulation::new(None).run(&World::of_capacity(capacity as f64), 2400);
        let (low, high) = settled(&permits, 1200);
        assert!(low >= capacity && high <= 2 * capacity, "{capacity}: {low} to {high}: {permits:?}");
    }
}

#[test]
fn permits_settle_although_times_vary_by_themselves() {
    let kinds = &[
        Operation::Asset,
        Operation::DownloadPlace,
        Operation::UploadPlace,
        Operation::UploadPart,
        Operation::Mark,
        Operation::Save,
        Operation::Imports,
        Operation::SaveAsset,
        Operation::SaveAdditional,
    ];
    let steady = World { jitter: 1.0, kinds, ..World::SLOW };
    let permits = Simulation::new(None).run(&steady, 1200);
    assert!(settled(&permits, 600).0 >= 48, "{permits:?}");
    let limited = World { jitter: 1.0, kinds, ..World::of_capacity(20.0) };
    let (low, high) = settled(&Simulation::new(None).run(&limited, 2400), 1200);
    assert!(low >= 14 && high <= 44, "{low} to {high}");
}

#[test]
fn a_service_that_loses_its_capacity_gets_few_permits_within_seconds() {
    let mut simulation = Simulation::new(None);
    simulation.run(&World::SLOW, 60);
    let permits = simulation.run(&World::of_capacity(8.0), 30);
    assert!(permits[29] <= 16, "{permits:?}");
}

#[test]
fn a_few_milliseconds_more_lower_nothing() {
    let mut simulation = Simulation::new(None);
    simulation.run(&World { base: 2.0, ..World::SLOW }, 60);
    let permits = simulation.run(&World { base: 7.0, ..World::SLOW }, 60);
    assert_eq!(settled(&permits, 60), (64, 64), "{permits:?}");
}

#[test]
fn a_service_that_becomes_slower_for_its_own_reasons_gets_its_permits_back() {
    let mut simulation = Simulation::new(None);
    simulation.run(&World::SLOW, 300);
    let permits = simulation.run(&World { base: 800.0, ..World::SLOW }, 600);
    assert!(permits.iter().copied().min() < Some(32), "it could have been the load");
    assert_eq!(settled(&permits, 200), (64, 64), "{permits:?}");
}

#[test]
fn errors_lower_the_permits_by_a_factor_and_their_end_raises_them() {
    let kinds: [&[_]; 3] = [World::SLOW.kinds, World::SLOW.kinds, &[Operation::Status, Operation::Find]];
    for (class, kinds) in
        [StatusClass::Broken, StatusClass::Unanswered, StatusClass::Limited].into_iter().zip(kinds)
    {
        let healthy = World { kinds, ..World::SLOW };
        let mut simulation = Simulation::new(None);
        simulation.run(&healthy, 60);
        let failing = World { failing: 0.5, class, ..healthy };
        let permits = simulation.run(&failing, 60);
        assert!(permits.contains(&44), "{permits:?}");
        assert_eq!(permits.last(), Some(&4));
        assert_eq!(simulation.run(&healthy, 120).last(), Some(&64));
    }
}

#[test]
fn a_refusal_of_one_asset_or_a_rare_error_lowers_nothing() {
    let refused = World { failing: 0.5, class: StatusClass::Refused, ..World::SLOW };
    // Bynder's 429 is answered by a silence.
    let limited = World { failing: 0.5, class: StatusClass::Limited, ..World::SLOW };
    let rarely = World { failing: 0.03, ..World::SLOW };
    for world in [refused, limited, rarely] {
        let mut simulation = Simulation::new(None);
        let permits = simulation.run(&world, 120);
        assert_eq!(settled(&permits, 60), (64, 64), "{permits:?}");
        // What failed at once does not make the responses after it seem slow.
        let permits = simulation.run(&World::SLOW, 60);
        assert_eq!(settled(&permits, 60), (64, 64), "{permits:?}");
    }
}

#[test]
fn permits_stay_while_no_job_waits_for_one_or_the_budget_is_used_up() {
    for demand in [Demand::Met, Demand::OutOfBudget] {
        let permits = Simulation::new(None).run(&World { demand, ..World::SLOW }, 300);
        assert!(permits.iter().all(|permits| *permits == 16), "{permits:?}");
    }
}

#[test]
fn permits_do_not_rise_while_the_steps_wait_for_this_machine() {
    let permits = Simulation::new(None).run(&World { base: 20.0, work: 100.0, ..World::SLOW }, 600);
    assert!(permits.iter().all(|permits| *permits <= 16), "{permits:?}");
}

/// A simulation in which half of 64 permits have just been withheld.
fn measuring() -> Simulation {
    let mut simulation = Simulation::new(None);
    simulation.run(&World::SLOW, 60);
    let mut before = simulation.controller.limit();
    for _ in 0..1000 {
        let permits = simulation.second(&World::SLOW);
        if (before, permits) == (64, 32) {
            return simulation;
        }
        before = permits;
    }
    panic!("nothing was measured");
}

#[test]
fn errors_during_a_measurement_lower_the_permits_from_before_it() {
    let mut simulation = measuring();
    let failing = World { failing: 0.5, ..World::SLOW };
    let next = simulation.run(&failing, 3).into_iter().find(|permits| *permits != 32);
    assert_eq!(next, Some(44));
}

#[test]
fn a_measurement_for_which_jobs_are_missing_ends() {
    let mut simulation = measuring();
    let quiet = simulation.instant(simulation.now) + Duration::from_mins(6);
    let _ = simulation.controller.tick(Demand::Met, quiet);
    assert_eq!(simulation.controller.limit(), 64);
}
