//! The pages of a record, as a browser gets them.

use std::net::SocketAddr;
use std::time::Duration;

use common::job::{Job, Lane, RunId};
use common::outcome::{Failure, FailureClass, Outcome, OutcomeEvent};
use ledger::RunMode;
use ledger::state::State;
use tokio_util::sync::DropGuard;

use super::*;

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}gpj.\u{7}=1+1";

/// A page on a listener, and the folder of its record.
pub(crate) struct Bench {
    pub(crate) state: PageState,
    address: SocketAddr,
    folder: tempfile::TempDir,
    _stop: DropGuard,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "bynder = {{ domain = 'acme.bynder.com', hash_metaproperty = 'h', api_token = 't' }}\n\
             imatag = {{ directory = 'd', api_key = 'k' }}\nproducer.state_dir = '{}'",
            folder.path().join("state").display()
        );
        let readiness = Readiness::default();
        readiness.set("broker", Err("<b>not connected</b>".to_owned()));
        let config = Config::parse(&config).unwrap();
        let state = PageState::new(&config, readiness).unwrap();
        let access = Access::new(&config.page).unwrap();
        let stop = CancellationToken::new();
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let serving =
            serve_router("page.listen", anywhere, router(&state, &access), Connections::Single, stop.clone());
        Self { state, address: serving.await.unwrap(), folder, _stop: stop.drop_guard() }
    }

    pub(crate) async fn send(&self, method: reqwest::Method, path: &str) -> reqwest::Response {
        let client = http_client::local_client(Duration::from_secs(30)).unwrap();
        client.request(method, format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let answer = self.send(reqwest::Method::GET, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }

    /// The record, to write.
    pub(crate) fn open(&self) -> State {
        State::open(&self.folder.path().join("state")).unwrap()
    }

    /// Records failed jobs of a run.
    pub(crate) async fn fail(&self, assets: std::ops::Range<u32>) {
        let state = self.open();
        let run = RunId("run-1".to_owned());
        let at = "2026-11-28T12:00:00Z".parse().unwrap();
        let ledger = ledger::Ledger::new(state.clone());
        ledger.begin_run_if_new(&run, RunMode::Full, false, "f", at).await.unwrap();
        let write = state.write(move |transaction| {
            for asset in assets {
                let name = format!("{asset:05} {HOSTILE}");
                let id = format!("A-{asset}").parse().unwrap();
                let job = Job::new(run.clone(), id, &name, Lane::Backlog, 1, None, at);
                let class =
                    if asset.is_multiple_of(3) { FailureClass::Refused } else { FailureClass::Marker };
                let reason = "<img src=x onerror=alert(1)>".into();
                let failed = Outcome::Failed(Failure { class, reason, request_id: None });
                ledger::note_published(transaction, &job)?;
                ledger::note_outcome(
                    transaction,
                    &OutcomeEvent { asset_name: name, ..job.ended(failed, at) },
                )?;
            }
            Ok(())
        });
        write.await.unwrap();
    }

    /// The ids of the assets of all pages from this one on.
    async fn walk(&self, first: &str) -> Vec<String> {
        let (mut ids, mut link) = (Vec::new(), Some(first.to_owned()));
        while let Some(path) = link {
            let page = self.get(&path).await;
            ids.extend(
                page.split("<a href=\"/assets/")
                    .skip(1)
                    .map(|rest| rest.split('"').next().unwrap().to_owned()),
            );
            let next = page.split(" rel=\"next\"").next().filter(|before| before.len() < page.len());
            link = next.map(|before| {
                before.rsplit("href=\"").next().unwrap().trim_end_matches('"').replace("&#38;", "&")
            });
        }
        ids
    }
}

#[tokio::test]
async fn pages_without_a_record_say_so() {
    let bench = Bench::new().await;
    for (path, said) in [
        ("/", "There is no record yet."),
        ("/", "No walk over the whole library has ended yet"),
        ("/", "No failed jobs."),
        ("/", "No run yet."),
        ("/", "Not ready: broker: &#60;b&#62;not connected&#60;/b&#62;"),
        ("/failed", "No failed jobs."),
        ("/failed?name=x", "No failed job matches."),
        ("/runs", "No run yet."),
        ("/api/v1/failed", "{\"after\":null,\"before\":null,\"jobs\":[]}"),
        ("/api/v1/runs", "{\"runs\":[],\"runs_without_jobs\":0}"),
    ] {
        let page = bench.get(path).await;
        assert!(page.contains(said), "{path} does not say {said}: {page}");
    }
    assert_eq!(bench.get("/failed.csv").await.lines().count(), 1, "the names of the columns");
    assert_eq!(bench.send(reqwest::Method::GET, "/assets/A-1").await.status(), 404);
}

#[tokio::test]
async fn the_share_of_the_library_that_is_protected_is_without_what_is_left_out() {
    let bench = Bench::new().await;
    let ledger = ledger::Ledger::new(State::open(&bench.folder.path().join("state")).unwrap());
    let counts = ledger::LibraryCounts {
        protected: 1500,
        unprotected: 400,
        failed: 60,
        unsupported: 40,
        opted_out: 3000,
        filtered_out: 5,
    };
    let at = "2026-11-28T12:00:00Z".parse().unwrap();
    let run = RunId("run-1".to_owned());
    ledger.note_library(&ledger::Library { run, at, counts }).await.unwrap();
    let page = bench.get("/").await;
    for said in
        ["<strong>75%</strong> protected", "<dt>Opted out</dt><dd>3,000</dd>", "<dt>All</dt><dd>5,005</dd>"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
}

#[tokio::test]
async fn no_text_from_outside_acts_on_a_page() {
    let bench = Bench::new().await;
    bench.fail(0..4).await;
    let query = "%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%20onfocus%3D%22x";
    for path in [
        "/",
        "/failed",
        "/assets/A-1",
        "/runs",
        &format!("/failed?name={query}"),
        &format!("/assets/{query}"),
        "/failed?name=a%E2%80%AEb%1B%07",
        "/failed?class=%E2%80%AE%1B",
        "/failed?job=%E2%80%AE%1B",
        "/login?next=%2F%E2%80%AE%1B%EF%B8%8F",
    ] {
        let page = bench.send(reqwest::Method::GET, path).await.text().await.unwrap();
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"), "{path}: {page}");
        let inside = ["<script", "<img", "\u{202e}", "\u{7}", "\u{1b}", "\u{fe0f}", "onfocus=\"x"];
        assert!(!inside.iter().any(|text| page.contains(text)), "{path}: {page}");
        assert_eq!(page.matches("<h1>").count(), 1, "{path}");
    }
    let page = bench.get("/failed").await;
    let name = r"00001 &#60;script&#62;alert(1)&#60;/script&#62;\u{202e}gpj.\u{7}=1+1";
    assert!(page.contains(name) && page.contains("https://acme.bynder.com/media/?mediaId=A-1"), "{page}");
    let json = bench.get("/api/v1/assets/A-1").await;
    assert!(!json.contains(['\u{202e}', '\u{7}']) && json.contains("\\u202e"), "{json}");
}

#[tokio::test]
async fn every_page_of_failed_jobs_leads_to_the_next_and_filters_stay() {
    let bench = Bench::new().await;
    bench.fail(0..130).await;
    let mut all = bench.walk("/failed").await;
    assert_eq!(all.len(), 130);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 130, "some are on two pages");
    assert_eq!(bench.walk("/failed?class=marker").await.len(), 86);
    assert_eq!(bench.walk("/failed?name=0011").await.len(), 11);
    assert_eq!(bench.walk("/failed?name=SCRIPT&class=refused").await.len(), 44);
    let page = bench.get("/failed?class=refused&name=%3Cscript").await;
    assert!(page.contains("44 failed jobs match") && page.contains("(86)"), "{page}");
    assert!(page.contains("<option value=\"refused\" selected>Refused (44)</option>"), "{page}");
    assert!(page.contains("href=\"/failed.csv?class=refused&#38;name=%3Cscript\""), "{page}");
    let csv = bench.get("/failed.csv?class=refused").await;
    assert_eq!(csv.lines().count(), 1 + 44);
    assert!(!csv.contains(['\u{202e}', '\u{7}']), "{csv}");
    bench.fail(130..1200).await;
    assert_eq!(bench.get("/failed.csv").await.lines().count(), 1 + 1200);
    assert_eq!(bench.walk("/failed?class=refused").await.len(), 400, "the next pages are of the same class");
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_answered_in_the_form_of_its_path() {
    let bench = Bench::new().await;
    bench.fail(0..1).await;
    let html = "text/html; charset=utf-8";
    let json = "application/json";
    for (method, path, status, kind) in [
        ("GET", "/", 200, html),
        ("HEAD", "/failed", 200, html),
        ("HEAD", "/failed.csv", 200, "text/csv; charset=utf-8"),
        ("GET", "/page.css", 200, "text/css; charset=utf-8"),
        ("GET", "/icon.svg", 200, "image/svg+xml"),
        ("GET", "/api/v1/overview", 200, json),
        // No browser sends a form without its origin.
        ("POST", "/", 403, html),
        ("DELETE", "/api/v1/failed", 403, json),
        ("GET", "/nowhere", 404, html),
        ("GET", "/api/v1/nowhere", 404, json),
        ("GET", "/metrics", 404, html),
        ("GET", "/assets/..%2F..%2Fetc", 404, html),
        ("GET", "/api/v1/assets/none", 404, json),
        ("GET", "/failed?class=odd", 400, html),
        ("GET", "/failed?class=marker&class=refused", 400, html),
        ("GET", "/failed?after=here", 400, html),
        ("GET", "/failed?name=%E2%80%AE", 400, html),
        ("GET", "/failed.csv?name=%1B", 400, html),
        ("GET", "/api/v1/failed?name=%EF%B8%8F", 400, json),
        ("GET", "/api/v1/failed?limit=501", 400, json),
        ("GET", "/failed.csv?class=odd", 400, html),
        ("GET", "/api/v1/failed?clas=marker", 400, json),
        ("GET", "/api/v1/failed?class=marker&name=a&asset=A&job=j&limit=1&after=&before=", 200, json),
        ("GET", "/api/v1/runs?limit=1", 400, json),
        ("GET", "/api/v1/overview?%ff", 400, json),
        ("GET", "/api/v1/overview?", 200, json),
        ("GET", "/api/v1/assets/none?id=A", 400, json),
        ("GET", "/api/v1/acts?after=1", 400, json),
        ("GET", "/api/v1/nowhere?a=b", 404, json),
        ("GET", "/failed?clas=marker", 400, html),
        ("GET", "/failed.csv?after=1", 400, html),
        ("GET", "/page.css?v=1", 400, html),
    ] {
        let answer = bench.send(method.parse().unwrap(), path).await;
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((answer.status().as_u16(), &*header("content-type")), (status, kind), "{method} {path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        if method == "HEAD" {
            assert!(answer.text().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn the_refusal_of_a_parameter_names_it_and_the_known_ones() {
    let bench = Bench::new().await;
    for (path, said) in [
        ("/api/v1/acts?after=1", "\"after\" is no parameter of this address, which has before."),
        (
            "/api/v1/failed?clas=x",
            "\"clas\" is no parameter of this address, which has class, name, asset, job, after, before, limit.",
        ),
        ("/api/v1/runs?limit=1", "\"limit\" is no parameter of this address, which has no parameters."),
    ] {
        let answer = bench.send(reqwest::Method::GET, path).await.text().await.unwrap();
        let json: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert!(json.to_string().contains(&said.replace('"', "\\\"")), "{answer}");
    }
}
