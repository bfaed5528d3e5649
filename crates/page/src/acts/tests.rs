//! Acts by the page and by its JSON, on the queue of one machine.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::HeaderName;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN};
use budget::{Budget, Records};
use common::job::{Job, JobId, Lane, RunId};
use common::outcome::{Failure, FailureClass, Outcome};
use config::Config;
use jiff::Timestamp;
use ledger::state::State;
use ledger::{FailedFilter, Ledger};
use queue::{
    EmbeddedQueue, FailedJob, FailedJobs, JobConsumer, JobPublisher, OnProgress, QueueError, Selection,
    Settlement, StepSet,
};
use serde_json::{Value, json};
use std::sync::Arc;
use telemetry::Readiness;
use tokio::sync::Semaphore;

use super::*;
use crate::access::Access;
use crate::asking::{ANN, Answer, BEN, ask, session};
use crate::state::Attached;

/// The queue, which a test keeps from beginning a change.
struct Held {
    queue: EmbeddedQueue,
    may_begin: Arc<Semaphore>,
}

#[async_trait]
impl FailedJobs for Held {
    async fn list(&self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
        self.queue.list(filter).await
    }

    async fn select(&self, filter: &FailedFilter, progress: OnProgress<'_>) -> Result<Selection, QueueError> {
        self.may_begin.acquire().await.unwrap().forget();
        self.queue.select(filter, progress).await
    }

    async fn replay(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        self.queue.replay(jobs, progress).await
    }

    async fn forget(&self, jobs: &Selection, progress: OnProgress<'_>) -> Result<u64, QueueError> {
        self.queue.forget(jobs, progress).await
    }

    async fn discard(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        self.queue.discard(jobs).await
    }
}

struct Bench {
    page: Router,
    queue: EmbeddedQueue,
    ledger: Ledger,
    may_begin: Arc<Semaphore>,
    attached: Option<Attached>,
    _directory: tempfile::TempDir,
}

impl Bench {
    /// Acts begin only as often as the test lets them.
    async fn held() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        let config = Config::parse(&format!(
            "bynder = {{ domain = 'acme.bynder.com', hash_metaproperty = 'h', api_token = 't' }}\n\
             imatag = {{ directory = 'd', api_key = 'k' }}\n\
             producer = {{ state_dir = '{path}/state' }}\n\
             page = {{ listen = '127.0.0.1:8088', tokens = [{{ name = 'ann', token = '{ANN}' }}, {{ name = 'ben', token = '{BEN}' }}] }}"
        ))
        .unwrap();
        let state = State::open(&config.producer.state_dir).unwrap();
        let (queue, ledger) = (EmbeddedQueue::open(state.clone()).await.unwrap(), Ledger::new(state));
        let may_begin = Arc::new(Semaphore::new(0));
        let held = Held { queue: queue.clone(), may_begin: Arc::clone(&may_begin) };
        let page = PageState::new(&config, Readiness::default()).unwrap();
        let attached = page.attach(Live {
            ledger: ledger.clone(),
            failed: Arc::new(held),
            jobs: Arc::new(queue.clone()),
            pause: Arc::new(Records::new(&config.producer.state_dir)),
            budget: Budget::alone(1000.try_into().unwrap(), None),
            pictures: Arc::new(crate::thumbnails::tests::Portal::default()),
        });
        let access = Access::new(&config.page).unwrap();
        let routes =
            Router::new().merge(crate::login::routes(page.clone(), access.clone())).merge(routes(page));
        let page = access.guard(routes);
        Self { page, queue, ledger, may_begin, attached: Some(attached), _directory: directory }
    }

    async fn new() -> Self {
        let bench = Self::held().await;
        bench.may_begin.add_permits(Semaphore::MAX_PERMITS / 2);
        bench
    }

    /// Fails jobs of these assets, each named after its id.
    async fn fail(&self, class: FailureClass, assets: &[&str]) {
        for asset in assets {
            let (run, id) = (RunId("r".to_owned()), asset.parse().unwrap());
            let name = format!("<script>{asset}.jpg");
            self.queue
                .publish(&Job::new(run, id, &name, Lane::Fresh, 1, None, Timestamp::now()))
                .await
                .unwrap();
            let delivery = self.queue.next(StepSet::ALL).await.unwrap();
            let job = Box::new(delivery.job.clone());
            let failure = Failure { class, reason: "It broke".into(), request_id: None };
            let event = Box::new(job.ended(Outcome::Failed(failure), Timestamp::now()));
            self.queue.settle(delivery, Settlement::Fail { job, event }).await.unwrap();
        }
    }

    /// The assets of the failed jobs.
    async fn failed(&self) -> Vec<String> {
        let failed = self.queue.list(&FailedFilter::default()).await.unwrap();
        failed.iter().map(|failed| failed.event.asset_id.to_string()).collect()
    }

    /// Waits until no act is under way; returns the record as programs read it.
    async fn settled(&self) -> Vec<Value> {
        let ended = async {
            loop {
                let said = ask(&self.page, "GET", "/api/v1/acts", &[], "").await.text;
                let said: Value = serde_json::from_str(&said).unwrap();
                if said["under_way"].is_null() {
                    return said["acts"].as_array().unwrap().clone();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap()
    }

    /// A request of a program with Ben's token.
    async fn call(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {BEN}");
        let headers = [(AUTHORIZATION, &*bearer), (ORIGIN, ""), (CONTENT_TYPE, "application/json")];
        ask(&self.page, "POST", path, &headers, &body.to_string()).await
    }
}

/// The value of a field of a form.
fn field<'a>(page: &'a str, name: &str) -> &'a str {
    let begin = format!("name=\"{name}\" value=\"");
    page.split(&begin)
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| panic!("no {name}: {page}"))
}

fn by(cookie: &str) -> [(HeaderName, &str); 1] {
    [(COOKIE, cookie)]
}

#[tokio::test]
async fn what_was_counted_is_retried_and_nothing_that_failed_later() {
    let bench = Bench::new().await;
    bench.fail(FailureClass::Permission, &["A1", "A2"]).await;
    bench.fail(FailureClass::Refused, &["B1"]).await;
    let (cookie, csrf) = session(&bench.page, ANN).await;
    let address = "/failed/retry?class=permission";
    let shown = ask(&bench.page, "GET", address, &by(&cookie), "").await.text;
    assert!(shown.contains("Retry 2 failed jobs?") && shown.contains("class permission"), "{shown}");
    bench.fail(FailureClass::Permission, &["A3"]).await;
    let form = format!("csrf={csrf}&until={}", field(&shown, "until"));
    let done = ask(&bench.page, "POST", address, &by(&cookie), &form).await;
    assert_eq!((done.status, done.headers[LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/acts"));
    let acts = bench.settled().await;
    let expected = json!({"by": "ann", "kind": "retry", "what": "class permission", "matching": 2, "changed": 2, "trouble": null});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(acts[0][key], *value, "{key}");
    }
    assert_eq!(bench.failed().await, ["B1", "A3"]);
    let record = ask(&bench.page, "GET", "/acts", &[], "").await.text;
    assert!(record.contains("ann") && record.contains("2 of 2 jobs"), "{record}");
    // The form again, as after a press of the button twice.
    let again = ask(&bench.page, "POST", address, &by(&cookie), &form).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn one_job_is_dropped_by_its_name_which_is_shown_as_text() {
    let bench = Bench::new().await;
    bench.fail(FailureClass::Permission, &["A1", "A2"]).await;
    let job = bench.queue.list(&FailedFilter::default()).await.unwrap()[0].event.job_id.clone();
    let (cookie, csrf) = session(&bench.page, ANN).await;
    let address = format!("/failed/drop?job={}", job.0);
    let shown = ask(&bench.page, "GET", &address, &by(&cookie), "").await.text;
    assert!(shown.contains("Drop 1 failed job?") && shown.contains("A1.jpg (A1)"), "{shown}");
    let form = format!("csrf={csrf}&until={}", field(&shown, "until"));
    assert_eq!(ask(&bench.page, "POST", &address, &by(&cookie), &form).await.status, StatusCode::SEE_OTHER);
    let acts = bench.settled().await;
    assert_eq!((&acts[0]["asset_id"], &acts[0]["changed"]), (&json!("A1"), &json!(1)));
    assert_eq!(bench.failed().await, ["A2"]);
    let record = ask(&bench.page, "GET", "/acts", &[], "").await.text;
    assert!(!shown.contains("<script>") && !record.contains("<script>"), "{record}");
    assert!(record.contains("script") && record.contains("A1.jpg"), "{record}");
}

#[tokio::test]
async fn without_session_form_or_method_nothing_is_done() {
    let bench = Bench::new().await;
    bench.fail(FailureClass::Permission, &["A1"]).await;
    let (cookie, csrf) = session(&bench.page, ANN).await;
    let form = format!("csrf={csrf}&until=99");
    let asked = ask(&bench.page, "GET", "/failed/drop", &[], "").await;
    assert_eq!(
        (asked.status, asked.headers[LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/login?next=%2Ffailed%2Fdrop")
    );
    for (method, path, headers, body, expected) in [
        ("GET", "/failed/drop", &by(&cookie)[..], "", StatusCode::OK),
        ("POST", "/failed/drop", &[], &form, StatusCode::FORBIDDEN),
        ("POST", "/failed/drop", &by(&cookie), "csrf=00&until=99", StatusCode::FORBIDDEN),
        ("POST", "/failed/drop", &by(&cookie), &csrf, StatusCode::FORBIDDEN),
        ("PUT", "/failed/drop", &by(&cookie), &form, StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/api/v1/failed/drop", &by(&cookie), "", StatusCode::METHOD_NOT_ALLOWED),
        ("POST", "/api/v1/failed/drop", &by(&cookie), &form, StatusCode::UNAUTHORIZED),
        ("POST", "/pause", &[], &form, StatusCode::FORBIDDEN),
        ("POST", "/failed/drop?class=odd", &by(&cookie), &form, StatusCode::BAD_REQUEST),
    ] {
        let answer = ask(&bench.page, method, path, headers, body).await;
        assert_eq!(answer.status, expected, "{method} {path}: {}", answer.text);
    }
    assert_eq!((bench.settled().await, bench.failed().await), (Vec::new(), vec!["A1".to_owned()]));
}

#[tokio::test]
async fn a_program_counts_and_then_acts() {
    let bench = Bench::new().await;
    bench.fail(FailureClass::Permission, &["A1", "A2"]).await;
    let mistyped = bench.call("/api/v1/failed/retry", &json!({"nam": "a2", "until": 99})).await;
    assert_eq!(mistyped.status, StatusCode::BAD_REQUEST, "{}", mistyped.text);
    for (path, body) in
        [("/api/v1/failed/drop", json!([null, null, null, null, 99])), ("/api/v1/pause", json!(["a reason"]))]
    {
        let ambiguous = bench.call(path, &body).await;
        assert_eq!(ambiguous.status, StatusCode::BAD_REQUEST, "{path}: {}", ambiguous.text);
    }
    let uncounted = bench.call("/api/v1/failed/drop", &json!({"until": 99})).await;
    assert_eq!(uncounted.status, StatusCode::BAD_REQUEST, "{}", uncounted.text);
    let counted: Value =
        serde_json::from_str(&bench.call("/api/v1/failed/retry", &json!({"name": "a2"})).await.text).unwrap();
    assert_eq!(counted["matching"], 1);
    let wish = json!({"name": "a2", "until": counted["until"]});
    let begun = bench.call("/api/v1/failed/retry", &wish).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    assert_eq!(serde_json::from_str::<Value>(&begun.text).unwrap(), json!({"act": 1, "matching": 1}));
    assert_eq!(
        (bench.settled().await[0]["by"].clone(), bench.failed().await),
        (json!("ben"), vec!["A1".to_owned()])
    );
    let nothing = bench.call("/api/v1/failed/retry", &wish).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT);
    assert!(serde_json::from_str::<Value>(&nothing.text).unwrap()["error"].is_string(), "{}", nothing.text);
}

#[tokio::test]
async fn no_answer_repeats_a_request_or_a_reason_as_it_was_sent() {
    let bench = Bench::new().await;
    for (body, status) in [
        (json!({"until": "s3cr3t"}), StatusCode::BAD_REQUEST),
        (json!({"until": u64::MAX}), StatusCode::BAD_REQUEST),
        (json!({"name": ["s3cr3t"]}), StatusCode::BAD_REQUEST),
        (json!("s3cr3t"), StatusCode::BAD_REQUEST),
    ] {
        let answer = bench.call("/api/v1/failed/retry", &body).await;
        let said: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(answer.status, status, "{said}");
        assert!(said["reason"].is_string() && !answer.text.contains("s3cr3t"), "{said}");
    }
    let far = ask(&bench.page, "GET", &format!("/api/v1/acts?before={}", u64::MAX), &[], "").await;
    assert_eq!(far.status, StatusCode::BAD_REQUEST, "{}", far.text);
    bench.call("/api/v1/pause", &json!({"reason": "\u{1b}[31mred\u{202e}"})).await;
    let acts = ask(&bench.page, "GET", "/api/v1/acts", &[], "").await.text;
    assert!(acts.contains("red\\u202e") && !acts.contains('\u{202e}'), "{acts}");
    let (cookie, _) = session(&bench.page, ANN).await;
    let page = ask(&bench.page, "GET", "/resume", &by(&cookie), "").await.text;
    assert!(page.contains("red") && !page.contains(['\u{1b}', '\u{202e}']), "{page}");
}

#[tokio::test]
async fn one_act_runs_at_a_time_and_ends_with_the_connector_which_is_on_record() {
    let mut bench = Bench::held().await;
    bench.fail(FailureClass::Permission, &["A1", "A2"]).await;
    let wish = json!({"until": 2});
    assert_eq!(bench.call("/api/v1/failed/retry", &wish).await.status, StatusCode::ACCEPTED);
    let record = ask(&bench.page, "GET", "/acts", &[], "").await.text;
    assert!(
        record.contains("Under way, by ben: retry 2 failed jobs") && record.contains(">under way<"),
        "{record}"
    );
    assert_eq!(bench.call("/api/v1/failed/drop", &wish).await.status, StatusCode::CONFLICT);
    bench.attached = None;
    let acts = bench.settled().await;
    assert_eq!((acts.len(), &acts[0]["changed"]), (1, &json!(0)));
    assert!(acts[0]["trouble"].as_str().unwrap().contains("the connector was stopped"), "{acts:?}");
    assert_eq!(bench.failed().await, ["A1", "A2"]);
    assert_eq!(bench.call("/api/v1/failed/retry", &wish).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(bench.ledger.acts(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_person_pauses_with_a_reason_and_another_resumes() {
    let bench = Bench::new().await;
    let (cookie, csrf) = session(&bench.page, ANN).await;
    let form = format!("csrf={csrf}&reason=a%20%3Cb%3Emigration");
    assert_eq!(ask(&bench.page, "POST", "/pause", &by(&cookie), &form).await.status, StatusCode::SEE_OTHER);
    let shown = ask(&bench.page, "GET", "/resume", &by(&cookie), "").await.text;
    assert!(shown.contains("migration (ann)") && !shown.contains("<b>"), "{shown}");
    let resumed = bench.call("/api/v1/resume", &json!({})).await;
    assert_eq!(
        serde_json::from_str::<Value>(&resumed.text).unwrap(),
        json!({"paused": false, "was_paused": true})
    );
    let acts = bench.settled().await;
    let acts: Vec<_> = acts.iter().map(|act| [&act["by"], &act["kind"], &act["what"]]).collect();
    assert_eq!(
        acts,
        [
            [&json!("ben"), &json!("resume"), &json!("")],
            [&json!("ann"), &json!("pause"), &json!("a <b>migration")]
        ]
    );
}

#[tokio::test]
async fn times_are_written_for_people() {
    let bench = Bench::new().await;
    bench.call("/api/v1/pause", &json!({"reason": "migration"})).await;
    let (cookie, _) = session(&bench.page, ANN).await;
    for path in ["/acts", "/resume"] {
        let page = ask(&bench.page, "GET", path, &by(&cookie), "").await.text;
        let (_, time) = page.split_once("<time datetime=\"").unwrap_or_else(|| panic!("{page}"));
        let (_, text) = time.split_once("\">").unwrap();
        assert!(text[16..].starts_with(" UTC</time> <span class=\"ago\">(just now)"), "{path}: {text}");
    }
}
