//! What each step asks of the services and allocates, for one asset in the good case (CONTRIBUTING.md, "When a budget
//! fails").

use allocation_counter::measure;
use common::job::Job;
use common::job::Step::{self, Save, Submit, Transfer};
use config::OutputMode::{self, Additional, Copy, Version};
use tracing::dispatcher::{Dispatch, with_default};

use crate::end::StepEnd;
use crate::fakes::{Scene, job};

/// Long enough for one more copy of the file to be far above the margin.
static ORIGINAL: [u8; 100 << 10] = [7; 100 << 10];
/// Allocations and bytes above the measured ones: lists in the fakes grow, and libraries change.
const MARGIN: [u64; 2] = [4, 4 << 10];

const PAGE: &str = include_str!("../../../../docs/performance.md");
const FIND: &str = "find submit";
const RESULT: &str = "status download";

/// The calls of each step to the portal and to Imatag, in order, and the allocations and bytes as measured on the
/// step's own thread, in a debug build, with what the fakes allocate. `row` and `poll` are shared with other assets;
/// `says_active` asks a service once in a process; `reserve` only takes places in the request budget.
const BUDGETS: [(OutputMode, Step, [&str; 2], [u64; 2]); 9] = [
    (Version, Submit, ["download says_active row", FIND], [64, 252_901]),
    (Version, Transfer, ["upload finalise row write", RESULT], [90, 359_311]),
    (Version, Save, ["poll reserve asset save", ""], [42, 110_039]),
    // Whether the asset can be copied is known before the watermark is paid for.
    (Copy, Submit, ["template download says_active row", FIND], [73, 253_149]),
    (Copy, Transfer, ["upload finalise", RESULT], [52, 355_873]),
    // The second template is the copy's; the marker is the original's.
    (Copy, Save, ["poll reserve template save template write", ""], [147, 226_624]),
    (Additional, Submit, ["download says_active row", FIND], [64, 252_901]),
    (Additional, Transfer, ["upload", RESULT], [54, 355_952]),
    (Additional, Save, ["reserve template save write", ""], [82, 11_495]),
];

/// The names of calls.
fn names(calls: &mut Vec<String>) -> String {
    let names: Vec<_> = calls.drain(..).filter_map(|call| Some(call.split(' ').next()?.to_owned())).collect();
    names.join(" ")
}

/// Takes a job to its end; returns what each of its steps asked and allocated.
fn taken_to_its_end(scene: &Scene) -> Vec<(Step, [String; 2], [u64; 2])> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    scene.portal.has("A", &[&ORIGINAL]);
    scene.imatag.lock().result = ORIGINAL[1..].to_vec();
    let mut job = Job { bytes: Some(ORIGINAL.len() as u64), ..job() };
    let mut steps = Vec::new();
    loop {
        let (step, mut end) = (job.step, None);
        // Without the log that other tests of this process capture: its lines would allocate here.
        let work = || end = Some(runtime.block_on(scene.end(&mut job)));
        let counted = with_default(&Dispatch::none(), || measure(work));
        let calls = [names(&mut scene.portal.lock().calls), names(&mut scene.imatag.lock().calls)];
        steps.push((step, calls, [counted.count_total, counted.bytes_total]));
        match end.unwrap() {
            StepEnd::Later(next) | StepEnd::Next(next) => job.step = next,
            StepEnd::NotYet(_) => {}
            StepEnd::Ended(_) => return steps,
            redone @ StepEnd::Redo { .. } => panic!("{redone:?}"),
        }
    }
}

#[test]
fn each_step_makes_its_calls_and_allocates_no_more_than_it_was_measured_to() {
    for mode in [Version, Copy, Additional] {
        let scene = Scene::with(|settings| settings.mode = mode);
        // What the first job of a process does once.
        taken_to_its_end(&scene);
        let steps = taken_to_its_end(&scene);
        let budgets = BUDGETS.iter().filter(|(of, ..)| *of == mode);
        let expected: Vec<_> =
            budgets.clone().map(|(_, step, calls, _)| (*step, calls.map(str::to_owned))).collect();
        let made: Vec<_> = steps.iter().map(|(step, calls, _)| (*step, calls.clone())).collect();
        assert_eq!(made, expected, "{mode:?}");
        for ((_, step, _, measured), (_, _, allocated)) in budgets.zip(&steps) {
            let (mode_name, kib) = (<&str>::from(mode), measured[1].div_ceil(1024));
            let row = format!("| {mode_name} | {} | {} | {kib} KiB |", step.name(), measured[0]);
            assert!(PAGE.contains(&row), "the page has no row {row}");
            let is_within = (0..2).all(|of| allocated[of] <= measured[of] + MARGIN[of]);
            println!("{mode:?} {step:?}: {allocated:?} allocations and bytes, as measured {measured:?}");
            assert!(
                is_within,
                "{mode:?} {step:?}: {allocated:?} allocations and bytes, more than {measured:?}"
            );
        }
    }
}
