//! Files that break what reads them harm themselves alone.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ledger::Ledger;
use ledger::state::State;
use sample_files::{Format, file};
use sandbox::NewAsset;

use crate::harness::fleet::Fleet;
use crate::harness::scene::slow;
use crate::harness::{Bench, Ran, is_protected, picture, quick, until};

/// What the reader of a file does, and what is said of it.
const FAULTS: [(&str, &str); 6] = [
    ("hang", "reading it took longer than 3 s"),
    ("abort", "crashed (signal 6)"),
    ("overflow", "crashed (signal "),
    ("fill", "crashed (signal 6)"),
    ("nonsense", "its reader answered nonsense"),
    ("endless", "its reader answered nonsense"),
];

/// A picture that its reader has this fault with.
fn hostile_content(fault: &str) -> Vec<u8> {
    let mut content = file(Format::Png, 2, 64, 48);
    content.extend_from_slice(format!("{:32}\nreader-fault:{fault}", "").as_bytes());
    content
}

fn broken(fault: &str) -> NewAsset {
    NewAsset::new("hostile.png", hostile_content(fault))
}

/// 16 ordinary pictures, and the hostile ones with their ids.
fn fill(bench: &Bench) -> Vec<(String, &'static str)> {
    for seed in 0..16 {
        bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    FAULTS.map(|(fault, said)| (bench.sandbox.add_asset(broken(fault)).unwrap(), said)).into()
}

/// Fails where an original that cannot be read is not named with the reason.
fn assert_named(log: &str, hostile: &[(String, &str)]) {
    for (id, said) in hostile {
        let named = log.lines().any(|line| line.contains(id.as_str()) && line.contains(said));
        assert!(named, "{id}: {said:?} is not in {log}");
    }
}

async fn assert_done_at_the_first_attempt(bench: &Bench) {
    let ledger = Ledger::new(State::open_to_read(&bench.path("state")).unwrap().unwrap());
    for asset in bench.sandbox.audit().assets {
        let events = ledger.outcomes_of(&asset.id.parse().unwrap()).await.unwrap();
        assert_eq!(events.iter().map(|event| event.attempts).collect::<Vec<_>>(), [0], "{events:#?}");
        assert_eq!(asset.media, 1, "{asset:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_break_their_reader_take_no_worker_no_delivery_and_no_attempt_along() {
    let fleet = Fleet::new(quick()).await;
    let hostile = fill(&fleet.bench);
    fleet.configure("[reader]\ndeadline = '3s'\n");
    fleet.bench.set_request_timeout(5);
    let mut worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    fleet.sync().await.assert_code(0);
    fleet.assert_all_is_well().await;
    assert!(worker.try_wait().unwrap().is_none(), "the worker ended");
    assert_named(&fleet.worker_logs(), &hostile);
    assert!(!fleet.worker_logs().contains("lost"), "{}", fleet.worker_logs());
    assert_done_at_the_first_attempt(&fleet.bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_machine_gets_past_files_that_break_their_reader() {
    let bench = Bench::new(quick()).await;
    let hostile = fill(&bench);
    bench.configure("[reader]\ndeadline = '3s'\n");
    bench.set_request_timeout(5);
    let ran = bench.sync().await;
    ran.assert_code(0);
    assert_named(&ran.talk, &hostile);
    bench.assert_ended_as_planted().await;
    assert_done_at_the_first_attempt(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_of_a_file_that_breaks_its_reader_ends_and_says_what_was_not_checked() {
    let bench = Bench::new(quick()).await;
    bench.configure("[reader]\ndeadline = '3s'\n");
    bench.set_request_timeout(5);
    for (fault, said) in FAULTS {
        let path = bench.path(&format!("{fault}.png"));
        std::fs::write(&path, hostile_content(fault)).unwrap();
        let tried = bench.run(&["trial", path.to_str().unwrap(), "--yes"]).await;
        tried.assert_code(0);
        let shown = format!("{}{}", tried.out, tried.talk);
        assert!(shown.contains(said), "{fault}: {shown}");
    }
}

/// The files that the readers of this process have open.
fn open_in_readers(of: u32) -> Vec<PathBuf> {
    let parent = format!("PPid:\t{of}\n");
    let is_reader =
        |status: &Path| std::fs::read_to_string(status).is_ok_and(|status| status.contains(&parent));
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let readers = processes.filter(|process| is_reader(&process.join("status")));
    let open = readers.filter_map(|reader| std::fs::read_dir(reader.join("fd")).ok()).flatten().flatten();
    open.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_get_none_of_the_files_that_their_program_was_started_with_and_work_without_their_numbers() {
    let bench = Bench::new(quick()).await;
    bench.configure("[reader]\ndeadline = '3s'\n");
    bench.set_request_timeout(5);
    let hung = bench.sandbox.add_asset(broken("hang")).unwrap();
    let ordinary = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let held = bench.path("held");
    std::fs::write(&held, "a secret").unwrap();
    let sync = bench.command(&["sync", "--full"]);
    let sync = sync.as_std();
    // As supervisors do it, which hand out the numbers from 3 on.
    let mut shell = tokio::process::Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" 3</dev/null 5<\"$HELD\"", "sh"])
        .arg(sync.get_program())
        .args(sync.get_args());
    shell.env("HELD", &held).envs(sync.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let running = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = running.id().unwrap();
    until(|| open_in_readers(process).len() > 3).await;
    let seen = open_in_readers(process);
    assert!(!seen.contains(&held), "{seen:?}");
    Ran::new(running.wait_with_output().await.unwrap()).assert_code(0);
    for id in [hung, ordinary] {
        assert!(is_protected(&bench.asset(&id)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_can_write_a_core_dump() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_secs(30)));
    let every = [("CONNECTOR_PRODUCER__EVERY", "1h".to_owned())];
    for program in
        [fleet.worker(), fleet.producer_with(&["--quiet"], &every), fleet.bench.spawn(&["sync", "--full"])]
    {
        let limits = format!("/proc/{}/limits", program.id().unwrap());
        until(|| {
            let limits = std::fs::read_to_string(&limits).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            core.split_whitespace().filter(|word| *word == "0").count() == 2
        })
        .await;
    }
}
