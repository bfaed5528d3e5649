//! What an asset of a fleet costs the broker, counted between the programs and the broker (CONTRIBUTING.md, "When a
//! budget fails").

use std::collections::BTreeMap;

use crate::harness::broker::{Broker, url};
use crate::harness::fleet::Fleet;
use crate::harness::proxy::Proxy;
use crate::harness::tally::Counts;
use crate::harness::{assert_clean, picture, quick};

const PICTURES: u64 = 120;
const PAGE: &str = include_str!("../../docs/performance.md");

/// Operations for each asset of a backlog, by what they are about, with how many more the test allows in a hundred
/// assets: a service that is not ready yet costs one more wait, a lease that another job holds one more lease.
const BUDGETS: [(&str, &str, u64, u64); 13] = [
    ("basic.publish", "submit.backlog", 1, 0),
    // For the watermark and for the import.
    ("basic.publish", "wait", 2, 20),
    ("basic.publish", "results", 1, 0),
    // Of the leases of submit and save.
    ("basic.publish", "locks", 2, 20),
    ("basic.deliver", "submit.backlog", 1, 10),
    // What comes back from a wait.
    ("basic.deliver", "return", 2, 30),
    ("basic.deliver", "results", 1, 10),
    ("basic.deliver", "locks", 2, 20),
    // A consumer keeps its message until the step ends. How many are made besides depends on when permits become free.
    ("basic.consume", "submit.backlog", 1, 60),
    ("basic.consume", "transfer", 1, 60),
    ("basic.consume", "save", 1, 60),
    ("basic.consume", "locks", 2, 20),
    // For the first lease of all assets that share the queue.
    ("queue.declare", "locks", 1, 0),
];

/// The counts for all queues of a kind together, without the fleet's prefix; and without the egress group's queues, whose
/// use depends on time and on the calls' budget.
fn by_kind(counts: &Counts, prefix: &str) -> Counts {
    let mut kinds = Counts::new();
    for ((method, about), count) in counts.iter().filter(|((_, about), _)| !about.starts_with("connector.")) {
        let name = about.strip_prefix(prefix).map_or(about.as_str(), |name| name.trim_start_matches('.'));
        let first = name.split('.').next().filter(|kind| ["locks", "wait"].contains(kind));
        *kinds.entry((*method, first.unwrap_or(name).to_owned())).or_default() += count;
    }
    kinds
}

/// The sum of a method's counts.
fn sum(counts: &Counts, method: &str) -> u64 {
    counts.iter().filter(|((name, _), _)| *name == method).map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_of_a_fleet_costs_the_broker_no_more_operations_than_its_budget() {
    let proxy = Proxy::start(Broker::shared().await.address()).await;
    let fleet = Fleet::on(&url(proxy.address()), quick()).await;
    // A call that is made again because the machine was busy would be one too many.
    fleet.bench.set_request_timeout(15);
    let _worker = fleet.worker();
    // What processes do once is done for the first asset.
    fleet.bench.sandbox.add_asset(picture("first.jpg", 0)).unwrap();
    fleet.sync().await.assert_code(0);
    let counts = || {
        let mut counts = by_kind(&proxy.asked.counts(), &fleet.prefix);
        let said = by_kind(&proxy.said.counts(), &fleet.prefix);
        counts.extend(said.into_iter().filter(|((method, _), _)| *method == "basic.deliver"));
        counts
    };
    let before = counts();
    for number in 1..=PICTURES {
        fleet.bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    fleet.sync().await.assert_code(0);
    assert_clean(&fleet.bench.sandbox.audit());
    let after = counts();
    let made = |kind: &(&'static str, String)| {
        after.get(kind).copied().unwrap_or_default() - before.get(kind).copied().unwrap_or_default()
    };
    let budgets: BTreeMap<_, _> =
        BUDGETS.map(|(method, about, each, more)| ((method, about.to_owned()), (each * 100, more))).into();
    let figures =
        after.keys().map(|kind| format!("{:.2} {} {}", made(kind) as f64 / PICTURES as f64, kind.0, kind.1));
    let figures = figures.collect::<Vec<_>>().join("\n");
    println!("{figures}");
    for (kind @ (method, about), (each, more)) in &budgets {
        let row = format!("| `{method}` | `{about}` | {} |", each / 100);
        assert!(PAGE.contains(&row), "the page has no row {row}");
        let made = made(kind) * 100;
        assert!(
            made <= (each + more) * PICTURES,
            "{kind:?} is more than {each} of a hundred assets:\n{figures}"
        );
    }
    // The rest belongs to a connection, and there are few of them.
    for kind in after.keys().filter(|kind| !budgets.contains_key(kind) && !kind.1.is_empty()) {
        assert!(made(kind) * 2 <= PICTURES, "{kind:?} has no budget:\n{figures}");
    }
    let (asked, said) = (proxy.asked.counts(), proxy.said.counts());
    let delivered = sum(&said, "basic.deliver") + sum(&asked, "basic.get");
    let settled = sum(&asked, "basic.ack") + sum(&asked, "basic.nack");
    let (consumed, cancelled) = (sum(&asked, "basic.consume"), sum(&asked, "basic.cancel"));
    assert!(cancelled <= consumed, "{cancelled} of {consumed} consumers are cancelled");
    assert!(settled <= delivered, "{settled} of {delivered} deliveries are settled");
}
