//! Several brands in one deployment, and several deployments on one broker.

use std::time::Duration;

use common::job::{Job, Lane};
use sandbox::faults::{Action, Faults, Moment};
use sandbox::{NewAsset, RateLimit};
use tokio::process::Child;

use crate::harness::amqp::Stranger;
use crate::harness::broker::Broker;
use crate::harness::fleet::{Fleet, ended};
use crate::harness::proxy::Proxy;
use crate::harness::scene::every;
use crate::harness::{Bench, assert_clean, is_protected, job_of, picture, quick, until, until_async};

/// The sandbox's second brand.
const NORDLICHT: &str = "2B7D41AA-0C3E-4F19-8A6601FF9D3C7E11";

fn of_nordlicht(name: &str, seed: u64) -> NewAsset {
    NewAsset { brand: NORDLICHT.to_owned(), ..picture(name, seed) }
}

/// Writes the directories at the end of `[imatag]`.
fn direct(bench: &Bench, former: &[&str], rules: &str) {
    bench.configure(rules);
    let home = &bench.sandbox.announcement().directory;
    let former: Vec<_> = former.iter().map(|folder| format!("'{home}/{folder}'")).collect();
    bench.reconfigure("[imatag]\n", &format!("[imatag]\nformer_directories = [{}]\n", former.join(", ")));
    bench.reconfigure("HOME", home);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_is_saved_in_the_directory_of_its_brand_or_metaproperty() {
    let bench = Bench::new(quick()).await;
    direct(
        &bench,
        &[],
        "[[imatag.directories]]\nbrands = ['Nordlicht']\nmetaproperties = { Country = ['France'] }\n\
         directory = 'HOME/nordlicht/france'\n\
         [[imatag.directories]]\nbrands = ['Nordlicht']\ndirectory = 'HOME/nordlicht'\n",
    );
    let country = |asset: NewAsset| NewAsset {
        properties: [("Country".to_owned(), vec!["France".to_owned()])].into(),
        ..asset
    };
    let assets = [
        (picture("a.jpg", 1), ""),
        (country(picture("b.jpg", 2)), ""),
        (of_nordlicht("c.jpg", 3), "/nordlicht"),
        (country(of_nordlicht("d.jpg", 4)), "/nordlicht/france"),
    ]
    .map(|(asset, folder)| (bench.sandbox.add_asset(asset).unwrap(), folder));
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    let home = bench.sandbox.announcement().directory.clone();
    for (id, folder) in assets {
        assert_eq!(bench.asset(&id).directories, [format!("{home}{folder}")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_paid_for_is_found_wherever_the_directories_were_before() {
    let bench = Bench::new(quick()).await;
    let rule = "[[imatag.directories]]\nbrands = ['Nordlicht']\ndirectory = 'HOME/north'\n";
    direct(&bench, &[], rule);
    let id = bench.sandbox.add_asset(of_nordlicht("c.jpg", 3)).unwrap();
    let body = "{\"detail\": \"no\"}".to_owned();
    let action = Action::Answer { status: 400, body, content_type: "application/json".to_owned() };
    bench.sandbox.set_faults(every("bynder.upload_init", Moment::Before, action));
    bench.sync().await.assert_code(6);
    assert_eq!((bench.asset(&id).media, is_protected(&bench.asset(&id))), (1, false));

    // Everything that is remembered here is lost, and the brand has moved.
    bench.sandbox.set_faults(Faults::default());
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    direct(&bench, &["north"], "[[imatag.directories]]\nbrands = ['Nordlicht']\ndirectory = 'HOME/south'\n");
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert_eq!((bench.asset(&id).media, is_protected(&bench.asset(&id))), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_keeps_the_directory_that_it_was_published_with() {
    let fleet = Fleet::new(quick()).await;
    let home = fleet.bench.sandbox.announcement().directory.clone();
    let id = fleet.bench.sandbox.add_asset(picture("a.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    fleet.bench.reconfigure(&format!("directory = '{home}'"), &format!("directory = '{home}/later'"));
    let _worker = fleet.worker();
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    assert_eq!(fleet.bench.asset(&id).directories, [home]);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_that_the_portal_does_not_have_is_named_before_anything_is_done() {
    let bench = Bench::new(quick()).await;
    direct(&bench, &[], "[[imatag.directories]]\nbrands = ['Nordlict']\ndirectory = 'HOME/nordlicht'\n");
    let talk = bench.sync().await.assert_code(3).talk.clone();
    assert!(talk.contains("imatag.directories[0].brands: \"Nordlict\""), "{talk}");
    assert!(talk.contains("did you mean \"Nordlicht\"?"), "{talk}");
    let doctor = bench.run(&["doctor"]).await;
    assert!(doctor.assert_code(3).out.contains("imatag.directories[0].brands: \"Nordlict\""), "{doctor:?}");
}

/// What makes a program of the fleet one of another portal's, under the same prefix.
fn elsewhere(other: &Bench) -> [(&'static str, String); 4] {
    let announcement = other.sandbox.announcement();
    [
        ("CONNECTOR_BYNDER__DOMAIN", announcement.bynder),
        ("CONNECTOR_BYNDER__API_TOKEN", announcement.token),
        ("CONNECTOR_BYNDER__HASH_METAPROPERTY", announcement.hash_metaproperty),
        ("CONNECTOR_PRODUCER__STATE_DIR", other.path("state").display().to_string()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_is_the_first_portals_that_answered_and_refused_to_the_programs_of_another() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(15);
    let other = fleet.bench.second(quick()).await;
    let there = elsewhere(&other);
    for looking in [&["failed", "list"][..], &["pause"], &["resume"], &["status"]] {
        fleet.bench.run_with(looking, &there).await.assert_code(0);
    }
    let misspelt = [("CONNECTOR_BYNDER__DOMAIN", "http://127.0.0.1:1".to_owned())];
    ended(fleet.producer_with(&["sync", "--full"], &misspelt)).await.assert_code(5);
    fleet.publish().await.assert_code(0);

    ended(fleet.worker_with(&there)).await.assert_code(3);
    assert!(fleet.worker_logs().contains(&format!("{:?} belongs to another portal", fleet.prefix)));
    let producer = ended(fleet.producer_with(&["sync", "--full"], &there)).await;
    let remedy = format!("delete_queue {}.producer.card", fleet.prefix);
    assert!(producer.assert_code(3).talk.contains(&remedy), "{producer:?}");
    for looking in [&["doctor"][..], &["status"]] {
        let told = fleet.bench.run_with(looking, &there).await;
        assert!(told.assert_code(3).out.contains("a queue.prefix of its own"), "{told:?}");
        assert!(told.out.contains(&fleet.bench.sandbox.announcement().bynder), "whose is it? {told:?}");
    }
    fleet.bench.run(&["doctor"]).await.assert_code(0);
    fleet.publish().await.assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_prefix_went_to_another_portal_meanwhile_ends_in_order() {
    let shared = Broker::shared().await;
    let proxy = Proxy::start(shared.address()).await;
    let fleet = Fleet::on(&format!("amqp://guest:guest@{}/%2f", proxy.address()), quick()).await;
    let other = fleet.bench.second(quick()).await;
    let worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    shared.control(&["delete_queue", &format!("{}.producer.card", fleet.prefix)]).await;
    ended(fleet.producer_with(&["sync", "--full"], &elsewhere(&other))).await.assert_code(0);
    proxy.cut();
    ended(worker).await.assert_code(3);
    assert!(fleet.worker_logs().contains("belongs to another portal"), "{}", fleet.worker_logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_go_on_under_another_address_of_the_portal_once_prefix_and_record_are_freed() {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    // The steps of docs/maintenance.md, while no process works.
    fleet.bench.reconfigure("domain = 'http://127.0.0.1:", "domain = 'http://localhost:");
    fleet.publish().await.assert_code(3);
    Broker::shared().await.control(&["delete_queue", &format!("{}.producer.card", fleet.prefix)]).await;
    fleet.publish().await.assert_code(3);
    fleet.bench.run(&["state", "reset"]).await.assert_code(0);
    let _worker = fleet.worker();
    // The job of the run before is for the old address, and still the asset's only one: a person says that it may go on.
    until_async(async || !fleet.failed().await.is_empty()).await;
    assert_eq!(fleet.sync().await.assert_code(0).summary()["selected"], 0);
    fleet.bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    assert_eq!(fleet.bench.asset(&id).media, 1);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_portal_is_kept_and_not_done_in_each_queue() {
    let fleet = Fleet::new(quick()).await;
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    let id = fleet.bench.sandbox.add_asset(picture("a.jpg", 1)).unwrap();
    let _worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    let queues = ["submit.fresh", "submit.backlog", "transfer", "save", "dead"];
    for queue in queues {
        let portal = Some("https://elsewhere.example".to_owned());
        let job = Job { portal, ..job_of(queue, &id, Lane::Backlog) };
        let queue = format!("{}.{queue}", fleet.prefix);
        stranger.publish("", queue.as_bytes(), b"\0\0", &job.encode().unwrap()).await;
    }
    until_async(async || fleet.failed().await.len() == queues.len()).await;
    for failed in fleet.failed().await {
        let said = format!("{:?}", failed.event.outcome);
        assert!(said.contains("is for the portal https://elsewhere.example"), "{said}");
    }
    assert_eq!(fleet.bench.asset(&id).media, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_of_one_address_share_its_budget_and_its_silence_and_nothing_else() {
    const BUDGET: usize = 300;
    let window = Duration::from_secs(30);
    let limit = RateLimit { requests: BUDGET, window };
    let fleet = Fleet::new(sandbox::Options { rate_limit: Some(limit), ..quick() }).await;
    fleet
        .bench
        .reconfigure("requests_per_5_minutes = 1000000", &format!("requests_per_5_minutes = {BUDGET}"));
    let scale = || ("CONNECTOR_TIME_SCALE", "10".to_owned());
    let other = [scale(), ("CONNECTOR_QUEUE__PREFIX", format!("{}-other", fleet.prefix))];
    let _workers: [Child; 2] = [fleet.worker_with(&[scale()]), fleet.worker_with(&other)];
    let told = async |variables: &[(&str, String)]| {
        let ran = fleet.bench.run_with(&["status", "--json"], variables).await;
        ran.assert_code(0).summary()
    };
    let deadline = tokio::time::Instant::now() + Duration::from_mins(3);
    let members = loop {
        let members = told(&[scale()]).await["members"].as_array().cloned().unwrap_or_default();
        let used = members.iter().map(|member| member["calls_per_5_minutes"].as_f64().unwrap());
        if members.len() == 2 && used.sum::<f64>() <= BUDGET as f64 {
            break members;
        }
        assert!(tokio::time::Instant::now() < deadline, "the two do not know of each other: {members:#?}");
    };
    let deployments: Vec<_> = members.iter().map(|member| member["deployment"].as_str().unwrap()).collect();
    assert!(deployments.contains(&fleet.prefix.as_str()), "{deployments:?}");
    assert!(deployments.contains(&other[1].1.as_str()), "{deployments:?}");

    // A person's pause is for the one deployment that they named.
    fleet.bench.run_with(&["pause"], &other).await.assert_code(0);
    let id = fleet.bench.sandbox.add_asset(picture("a.jpg", 1)).unwrap();
    fleet.producer_with(&["sync", "--full"], &[scale()]).wait().await.unwrap();
    until(|| is_protected(&fleet.bench.asset(&id))).await;

    fleet.bench.sandbox.block();
    fleet.bench.sandbox.add_asset(picture("b.jpg", 2)).unwrap();
    let mut producing = fleet.producer_with(&["sync", "--full"], &[scale()]);
    until(|| fleet.bench.sandbox.stats().refusals > 0).await;
    let deadline = tokio::time::Instant::now() + window;
    while told(&other).await["silent_after_429"] != true {
        assert!(tokio::time::Instant::now() < deadline, "the other deployment does not know of the block");
    }
    producing.wait().await.unwrap();
    assert_clean(&fleet.bench.sandbox.audit());
}
