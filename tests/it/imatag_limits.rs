//! Imatag's own limits: it is left alone when it asks for it, and gets a few files at once.

use std::time::Duration;

use ledger::Ledger;
use ledger::state::State;
use sandbox::faults::{Action, Faults, Moment, Rule};

use crate::harness::fleet::Fleet;
use crate::harness::page::shows;
use crate::harness::scene::slow;
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until};

const SYNC: [&str; 4] = ["sync", "--full", "--json", "--quiet"];

fn busy(endpoint: &str, status: u16, retry_after: Option<&str>, skip: u64) -> Rule {
    let action = Action::Busy { status, retry_after: retry_after.map(str::to_owned) };
    Rule {
        endpoint: endpoint.to_owned(),
        probability: 1.0,
        skip,
        times: None,
        moment: Moment::Before,
        action,
    }
}

fn faults(rules: Vec<Rule>) -> Faults {
    Faults { seed: 1, rules }
}

fn asked_of_imatag(bench: &Bench) -> u64 {
    let requests = bench.sandbox.stats().requests;
    requests.iter().filter(|(name, _)| name.starts_with("imatag.")).map(|(_, count)| count).sum()
}

fn requests(bench: &Bench, endpoint: &str) -> u64 {
    bench.sandbox.stats().requests.get(endpoint).copied().unwrap_or_default()
}

async fn library(pictures: u64) -> Bench {
    let bench = Bench::new(quick()).await;
    bench.set_request_timeout(5);
    for number in 0..pictures {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    bench
}

/// Fails unless every asset is protected by a job that failed never.
async fn assert_all_at_first_attempt(bench: &Bench) {
    assert_clean(&bench.sandbox.audit());
    let ledger = Ledger::new(State::open_to_read(&bench.path("state")).unwrap().unwrap());
    for asset in bench.sandbox.audit().assets {
        assert!(is_protected(&asset), "{}", asset.id);
        assert_eq!(asset.media, 1, "{}", asset.id);
        let outcomes = ledger.outcomes_of(&asset.id.parse().unwrap()).await.unwrap();
        assert_eq!(outcomes.iter().map(|event| event.attempts).collect::<Vec<_>>(), [0], "{}", asset.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_imatag_is_left_alone_for_as_long_as_it_says_and_no_attempt_is_used_up() {
    for status in [429, 503] {
        let bench = library(30).await;
        bench.sandbox.set_faults(faults(vec![busy("imatag.submit", status, Some("15"), 0)]));
        let running = bench.spawn(&SYNC);
        until(|| requests(&bench, "imatag.submit") > 0).await;
        // What was under way is answered, and then nothing is sent: not one refusal for each job.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (asked, submitted) = (asked_of_imatag(&bench), requests(&bench, "imatag.submit"));
        assert!(submitted <= 4, "{submitted} of 30 files were sent");
        // No event shows that nothing is sent.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(asked_of_imatag(&bench), asked, "{status}");
        // Nor is a file fetched that nobody can send: two were in hand for each place.
        let fetched = requests(&bench, "bynder.download");
        assert!(fetched <= 8, "{fetched} of 30 files were fetched");
        bench.sandbox.set_faults(Faults::default());
        let ended = running.wait_with_output().await.unwrap();
        let talk = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{talk}");
        assert_eq!(talk.matches("Imatag asks to wait").count(), 1, "{talk}");
        assert_all_at_first_attempt(&bench).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_have_been_taken_before_a_time_to_come_back_was_named_is_not_sent_twice() {
    let bench = library(1).await;
    let rule = Rule { moment: Moment::After, times: Some(1), ..busy("imatag.submit", 503, Some("1"), 0) };
    bench.sandbox.set_faults(faults(vec![rule]));
    bench.sync().await.assert_code(0);
    assert_eq!(requests(&bench, "imatag.submit"), 1);
    assert_all_at_first_attempt(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_imatag_is_left_alone_a_save_goes_on() {
    let conversion_time = Duration::from_secs(12);
    let bench = Bench::new(sandbox::Options { conversion_time, ..quick() }).await;
    for number in 0..2 {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    // One file comes to Imatag later than the other, and Imatag is busy by then.
    let late = Rule {
        times: Some(1),
        action: Action::Delay(Duration::from_secs(3)),
        ..busy("bynder.download", 0, None, 1)
    };
    bench.set_request_timeout(10);
    bench.sandbox.set_faults(faults(vec![late, busy("imatag.submit", 429, Some("60"), 1)]));
    let _running = bench.spawn(&SYNC);
    until(|| requests(&bench, "imatag.submit") == 2).await;
    let protected = || bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count();
    assert_eq!(protected(), 0, "it was saved before; this proves nothing");
    let asked = asked_of_imatag(&bench);
    until(|| protected() == 1).await;
    assert_eq!(asked_of_imatag(&bench), asked);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_imatag_asked_to_wait_says_so_in_its_metrics() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(faults(vec![busy("imatag.find", 429, None, 0)]));
    let [port] = crate::harness::broker::free_ports();
    let listen = [("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))];
    let _worker = fleet.worker_with(&listen);
    fleet.publish().await.assert_code(0);
    shows(port, "/metrics", "connector_paused{by=\"imatag\"} 1").await;
    assert_eq!(fleet.requests("imatag.find"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_so_many_files_are_on_their_way_to_imatag_at_once() {
    let bench = library(12).await;
    bench.reconfigure("[imatag]\n", "[imatag]\nuploads_in_flight = 2\n");
    bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(500)));
    bench.sync().await.assert_code(0);
    assert_eq!(bench.sandbox.stats().most_submits_at_once, 2);
    assert_all_at_first_attempt(&bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_files_are_fetched_than_are_about_to_be_sent() {
    let bench = library(12).await;
    bench.reconfigure("[imatag]\n", "[imatag]\nuploads_in_flight = 1\n");
    bench.set_request_timeout(20);
    bench.sandbox.set_faults(slow("imatag.submit", Duration::from_secs(15)));
    let _running = bench.spawn(&SYNC);
    until(|| requests(&bench, "imatag.submit") == 1 && requests(&bench, "imatag.find") == 2).await;
    // No event shows that a third file is not fetched.
    tokio::time::sleep(Duration::from_secs(2)).await;
    // The one that is sent, and the next: all others have their permits left.
    assert_eq!((requests(&bench, "imatag.submit"), requests(&bench, "bynder.download")), (1, 2));
}
