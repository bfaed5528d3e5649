//! One trace for each asset, from the publish to the save, across processes; and nothing where traces are off.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nix::sys::signal::Signal;
use sandbox::SECRET_MARK;

use crate::harness::collector::{Collector, Sent};
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until};

const NAME: &str = "Campaign Zanzibar.jpg";

/// The spans by trace.
fn by_trace(spans: Vec<Sent>) -> BTreeMap<String, Vec<Sent>> {
    let mut traces: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for span in spans {
        traces.entry(hex(&span.span.trace_id)).or_default().push(span);
    }
    traces
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn children<'a>(of: &'a Sent, among: &'a [Sent]) -> impl Iterator<Item = &'a Sent> {
    among.iter().filter(|span| span.span.parent_span_id == of.span.span_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_asset_of_a_fleet_is_one_trace_with_its_steps_and_calls_below_the_publish() {
    let fleet = Fleet::new(sandbox::Options { assets: 0, ..quick() }).await;
    let bench = &fleet.bench;
    for seed in 0..6 {
        bench.sandbox.add_asset(picture(&format!("{seed} {NAME}"), seed)).unwrap();
    }
    let collector = Collector::start(200).await;
    let otel = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.clone()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20for-the-collector".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
        // A request to this machine goes through none.
        ("HTTP_PROXY", "http://127.0.0.1:9".to_owned()),
    ];
    let workers = [(); 2].map(|()| fleet.start_worker(&["--log-format", "json"], &otel));
    let done = ended(fleet.producer_with(&["sync", "--full", "--wait", "--json", "--quiet"], &otel)).await;
    assert_eq!(done.assert_code(0).summary()["published"], 6);
    for mut worker in workers {
        signal(&worker, Signal::SIGTERM);
        assert_eq!(worker.wait().await.unwrap().code(), Some(0));
    }
    assert_clean(&bench.sandbox.audit());
    let sent = collector.bytes();
    for hidden in [SECRET_MARK, "Zanzibar", "X-Amz", "?versions"] {
        assert!(!sent.windows(hidden.len()).any(|window| window == hidden.as_bytes()), "{hidden}");
    }
    assert!(String::from_utf8_lossy(&sent).contains("authorization: Bearer for-the-collector"));
    let traces = by_trace(collector.spans());
    assert_eq!(traces.len(), 6, "{:#?}", traces.keys());
    let mut workers = BTreeSet::new();
    for (trace, spans) in &traces {
        let roots: Vec<_> = spans.iter().filter(|span| span.span.parent_span_id.is_empty()).collect();
        let [root] = roots[..] else { panic!("{roots:#?}") };
        assert_eq!((root.span.name.as_str(), root.service.as_str()), ("publish", "connector-producer"));
        assert_eq!(root.attribute("job_id").as_ref(), Some(trace), "the trace of the log");
        let steps: Vec<_> = children(root, spans).collect();
        let names: BTreeSet<_> = steps.iter().map(|step| step.span.name.as_str()).collect();
        assert_eq!(names, ["save", "submit", "transfer"].into(), "{trace}");
        assert!(steps.iter().any(|step| step.attribute("result").as_deref() == Some("finish")), "{steps:#?}");
        let calls: Vec<_> = steps.iter().flat_map(|step| children(step, spans)).collect();
        assert_eq!(1 + steps.len() + calls.len(), spans.len(), "each span has its place: {spans:#?}");
        let called: BTreeSet<_> = calls
            .iter()
            .map(|call| (call.attribute("service").unwrap(), call.attribute("operation").unwrap()))
            .collect();
        for (service, operation) in
            [("bynder", "save"), ("bynder", "mark"), ("imatag", "submit"), ("storage", "send_part")]
        {
            assert!(called.contains(&(service.to_owned(), operation.to_owned())), "{operation}: {called:?}");
        }
        assert!(calls.iter().all(|call| call.attribute("status").is_some()), "{calls:#?}");
        assert!(steps.iter().all(|step| step.service == "connector-worker"));
        workers.extend(steps.iter().map(|step| step.instance.clone()));
        assert!(fleet.worker_logs().contains(&format!("\"trace_id\":\"{trace}\"")), "{trace}");
    }
    assert_eq!(workers.len(), 2, "both workers took part");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_where_traces_are_off_and_names_only_where_they_are_wanted() {
    let (bench, id) = Bench::with_asset(picture(NAME, 1)).await;
    let collector = Collector::start(200).await;
    let section = format!("[traces]\nendpoint = '{}'\n", collector.endpoint);
    for (configuration, variable) in
        [("", ("OTEL_SERVICE_NAME", "x")), (&section, ("OTEL_SDK_DISABLED", "true"))]
    {
        bench.configure(configuration);
        bench.run_with(&["sync", "--full", "--quiet"], &[(variable.0, variable.1.to_owned())]).await;
    }
    assert!(is_protected(&bench.asset(&id)));
    assert_eq!(collector.requests(), 0);
    bench.sandbox.add_asset(picture(NAME, 2)).unwrap();
    bench.configure(&format!("{section}sample = 0.0\n"));
    bench.sync().await.assert_code(0);
    assert_eq!(collector.requests(), 0);
    bench.sandbox.add_asset(picture(NAME, 3)).unwrap();
    bench.until_listed().await;
    bench.configure(&format!("{section}names = true\n"));
    bench.sync().await.assert_code(0);
    // The last spans are sent as the process ends.
    let spans = collector.spans();
    assert_eq!(by_trace(spans.clone()).len(), 1, "{spans:#?}");
    assert!(spans.iter().any(|span| span.span.name == "publish"));
    let steps = spans.iter().filter(|span| span.attribute("lane").is_some());
    assert!(
        steps.count() > 3
            && spans.iter().all(|span| {
                span.attribute("lane").is_none() || span.attribute("asset_name").as_deref() == Some(NAME)
            })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_or_is_away_neither_stops_nor_slows_the_work_and_is_logged_once() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    let refusing = Collector::start(400).await;
    let nowhere = "http://127.0.0.1:9".to_owned();
    for (seed, endpoint) in [(2, refusing.endpoint.clone()), (3, nowhere)] {
        bench.sandbox.add_asset(picture("more.jpg", seed)).unwrap();
        bench.until_listed().await;
        let otel = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "20".to_owned()),
            ("CONNECTOR_LOG", "warn".to_owned()),
        ];
        let started = tokio::time::Instant::now();
        let done = bench.run_with(&["sync", "--full", "--quiet"], &otel).await;
        assert!(started.elapsed() < Duration::from_mins(1));
        let said = done.assert_code(0).talk.matches("traces cannot be sent").count();
        assert_eq!(said, 1, "{done:#?}");
    }
    until(|| refusing.requests() > 1).await;
    assert!(is_protected(&bench.asset(&id)));
}
