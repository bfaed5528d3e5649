//! The operator's page, of one machine and of a fleet.

use std::cell::RefCell;

use sandbox::faults::{Action, Moment};
use sandbox::{NewAsset, Options};
use serde_json::{Value, json};

use crate::documents::document;
use crate::harness::broker::free_ports;
use crate::harness::fleet::Fleet;
use crate::harness::openapi::OpenApi;
use crate::harness::scene::every;
use crate::harness::scrape::get as raw;
use crate::harness::serving::{Serving, stop};
use crate::harness::{assert_clean, client, picture, quick, until_async};

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}.jpg";

/// A browser at a page.
pub(crate) struct Browser {
    client: reqwest::Client,
    root: String,
}

impl Browser {
    pub(crate) fn at(port: u16) -> Self {
        Self { client: client(), root: format!("http://127.0.0.1:{port}") }
    }

    /// The status, the headers and the text of an answer.
    async fn answer(&self, path: &str) -> reqwest::Result<(u16, String, String)> {
        let answer = self.client.get(format!("{}{path}", self.root)).send().await?;
        let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
        Ok((status, headers, answer.text().await?))
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let (status, headers, text) = self.answer(path).await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        assert!(headers.contains("default-src 'none'"), "{path}: {headers}");
        text
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).await).unwrap()
    }

    /// Waits until a page shows a text.
    pub(crate) async fn until_shown(&self, path: &str, text: &str) {
        until_async(async || self.answer(path).await.is_ok_and(|(_, _, shown)| shown.contains(text))).await;
    }
}

fn refused() -> sandbox::faults::Faults {
    let body = "no".to_owned();
    every(
        "bynder.save",
        Moment::Before,
        Action::Answer { status: 400, body, content_type: "text/plain".to_owned() },
    )
}

fn hostile() -> NewAsset {
    NewAsset { name: HOSTILE.to_owned(), ..picture("one.jpg", 99) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_alone_shows_what_is_protected_what_failed_and_the_history_of_each_asset() {
    let serving = Serving::new(Options { assets: 30, ..quick() }).await;
    let bench = &serving.bench;
    let [port] = free_ports();
    let listen = format!("127.0.0.1:{port}");
    let running = serving.start(&["--full"], &[("CONNECTOR_PAGE__LISTEN", listen.as_str())]);
    let browser = Browser::at(port);
    browser.until_shown("/", "<h1>Overview</h1>").await;
    until_async(async || serving.bench.surprises().await.is_empty()).await;
    bench.sandbox.set_faults(refused());
    let id = bench.sandbox.add_asset(hostile()).unwrap();
    browser.until_shown("/failed?class=refused", "/media/?mediaId=").await;
    let page = browser.get("/failed?name=%3CSCRIPT").await;
    let name = r"&#60;script&#62;alert(1)&#60;/script&#62;\u{202e}.jpg";
    assert!(page.contains(name) && page.contains("1 failed job matches"), "{page}");
    assert!(!page.contains("<script") && !page.contains('\u{202e}'), "{page}");
    let link = format!("{}/media/?mediaId={id}", bench.sandbox.announcement().bynder.trim_end_matches('/'));
    assert!(page.contains(&link), "{link} is not in {page}");

    // The counts are those of the command's.
    let counted: Value =
        serde_json::from_str(serving.run(&["failed", "count", "--json"]).await.trim()).unwrap();
    until_async(async || browser.json("/api/v1/overview").await["failed"] == counted).await;
    let all: u64 = counted.as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let csv = browser.get("/failed.csv").await;
    assert_eq!(csv.lines().count() as u64, 1 + all, "{csv}");
    let first = browser.json("/api/v1/failed?limit=2").await;
    let after = first["after"].as_str().unwrap();
    let second = browser.json(&format!("/api/v1/failed?limit=500&after={after}")).await;
    assert_eq!(second["jobs"].as_array().unwrap().len() as u64, all - 2);

    let history = browser.get(&format!("/assets/{id}")).await;
    assert!(history.contains("Failed: Refused") && history.contains("SHA-256 of the original"), "{history}");
    let protected = bench.sandbox.audit().assets.into_iter().find(crate::harness::is_protected).unwrap();
    let history = browser.json(&format!("/api/v1/assets/{}", protected.id)).await;
    assert!(history["history"][0]["outcome"].is_string(), "{history:#}");
    assert!(browser.get("/runs").await.contains("Whole library"));
    browser.until_shown("/", "</strong> protected</p>").await;
    let library = browser.json("/api/v1/overview").await["library"].clone();
    assert!(library["protected"].as_u64().unwrap() > 0 && library["run"].is_string(), "{library:#}");
    let standing: Value = serving.status().await;
    assert_eq!(browser.json("/api/v1/overview").await["status"]["asked_for"], standing["asked_for"]);
    serving.run(&["pause", "--reason", "<i>works</i>"]).await;
    browser.until_shown("/", "&#60;i&#62;works&#60;/i&#62;").await;
    serving.run(&["resume"]).await;

    // Each listener has its own pages.
    assert_eq!(browser.answer("/metrics").await.unwrap().0, 404);
    assert!(raw(serving.port, "/failed").await.unwrap().starts_with("HTTP/1.1 404"));
    stop(running).await;
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_documented_answer_of_the_interface_for_programs_is_as_documented() {
    const TOKEN: &str = "the-token-of-ann-in-this-test";
    let serving = Serving::new(Options { assets: 30, ..quick() }).await;
    let [port] = free_ports();
    serving.bench.configure(&format!(
        "every = '1s'\n[page]\nlisten = '127.0.0.1:{port}'\n[[page.tokens]]\nname = 'ann'\ntoken = '{TOKEN}'\n"
    ));
    let running = serving.start(&["--full"], &[]);
    let (browser, api) = (Browser::at(port), OpenApi::parse(&document("docs/openapi.json")));
    browser.until_shown("/", "<h1>Overview</h1>").await;
    until_async(async || serving.bench.surprises().await.is_empty()).await;
    until_async(async || browser.json("/api/v1/overview").await["library"].is_object()).await;
    let tried = RefCell::new(Vec::new());
    let compare = async |path: &'static str, asked: &str, status: u16| {
        let (found, _, text) = browser.answer(asked).await.unwrap();
        assert_eq!(found, status, "{asked}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        api.assert_answer("get", path, status, &answer);
        tried.borrow_mut().push(("get", path));
        answer
    };
    compare("/api/v1/overview", "/api/v1/overview", 200).await;
    compare("/api/v1/failed", "/api/v1/failed?limit=3", 200).await;
    compare("/api/v1/failed", "/api/v1/failed?class=marker", 200).await;
    compare("/api/v1/failed", "/api/v1/failed?class=odd", 400).await;
    compare("/api/v1/runs", "/api/v1/runs", 200).await;
    for asset in serving.bench.sandbox.audit().assets {
        let outcomes = serving.bench.outcomes(&asset.id).await;
        if !outcomes.is_empty() {
            compare("/api/v1/assets/{id}", &format!("/api/v1/assets/{}", asset.id), 200).await;
        }
    }
    compare("/api/v1/assets/{id}", "/api/v1/assets/none", 404).await;

    let failed = browser.json("/api/v1/failed").await["jobs"][0].clone();
    let act = async |path: &'static str, token: &str, wish: &str, status: u16| {
        let request = browser.client.post(format!("{}{path}", browser.root)).bearer_auth(token);
        let sent = request.header("content-type", "application/json").body(wish.to_owned()).send();
        let answer = sent.await.unwrap();
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(found, status, "{path} {wish}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        api.assert_answer("post", path, status, &answer);
        tried.borrow_mut().push(("post", path));
        answer
    };
    let wish = json!({"job": failed["job_id"]});
    act("/api/v1/failed/retry", "wrong", "{}", 401).await;
    act("/api/v1/failed/retry", TOKEN, "{\"until\": \"soon\"}", 400).await;
    act("/api/v1/failed/retry", TOKEN, &wish.to_string(), 200).await;
    let counted = act("/api/v1/failed/drop", TOKEN, &wish.to_string(), 200).await;
    assert_eq!(counted["matching"], 1);
    let wish = json!({"job": failed["job_id"], "until": counted["until"]});
    act("/api/v1/failed/drop", TOKEN, &wish.to_string(), 202).await;
    until_async(async || browser.json("/api/v1/acts").await["acts"][0]["changed"] == 1).await;
    act("/api/v1/failed/drop", TOKEN, &wish.to_string(), 409).await;
    act("/api/v1/pause", TOKEN, "1", 400).await;
    act("/api/v1/pause", TOKEN, "{\"reason\": \"works\"}", 200).await;
    act("/api/v1/resume", TOKEN, "", 200).await;
    compare("/api/v1/acts", "/api/v1/acts?before=first", 400).await;
    compare("/api/v1/acts", "/api/v1/acts", 200).await;
    let asset = failed["asset_id"].as_str().unwrap();
    let history = compare("/api/v1/assets/{id}", &format!("/api/v1/assets/{asset}"), 200).await;
    let by = (&history["acts"][0]["by"], &history["acts"][0]["kind"]);
    assert_eq!(by, (&Value::from("ann"), &Value::from("drop")), "{history:#}");
    assert!(browser.get(&format!("/assets/{asset}")).await.contains("Dropped by ann, "));
    let tried = tried.into_inner();
    let missed: Vec<_> = api.operations().into_iter().filter(|asked| !tried.contains(asked)).collect();
    assert!(missed.is_empty(), "{missed:?}");
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_shows_its_queues_and_its_budget_and_waits_for_its_broker() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    let [port, nothing] = free_ports();
    let listen = ("CONNECTOR_PAGE__LISTEN", format!("127.0.0.1:{port}"));
    let browser = Browser::at(port);
    let away = ("CONNECTOR_BROKER__URL", format!("amqp://guest:guest@127.0.0.1:{nothing}"));
    let producer = fleet.producer_with(&["sync", "--full"], &[listen.clone(), away]);
    browser
        .until_shown("/", "The queues cannot be looked at: the connector is not connected to the broker")
        .await;
    browser.until_shown("/", "Not ready: broker: ").await;
    drop(producer);
    let id = fleet.bench.sandbox.add_asset(hostile()).unwrap();
    fleet.bench.sandbox.set_faults(refused());
    let producer = fleet.producer_with(&["sync", "--full"], &[listen]);
    browser.until_shown("/", "Processes that share the budget").await;
    until_async(async || {
        let overview = browser.json("/api/v1/overview").await;
        overview["status"]["queues"]["submit_backlog"] == 1 && overview["record"]["without_outcome"] == 1
    })
    .await;
    let history = browser.json(&format!("/api/v1/assets/{id}")).await;
    assert_eq!(history["history"][0]["outcome"], "under_way", "{history:#}");
    let _worker = fleet.worker();
    browser.until_shown("/failed", "&#60;script&#62;").await;
    browser.until_shown("/", "<a href=\"/failed?class=refused\">Refused</a>").await;
    assert_eq!(browser.json("/api/v1/failed").await["jobs"][0]["asset_id"], id.as_str());
    // The call for it takes a token of the fleet.
    let (status, headers, _) = browser.answer(&format!("/thumbnails/{id}")).await.unwrap();
    assert!(status == 200 && headers.contains("image/jpeg"), "{status} {headers}");
    stop(producer).await;
}
