//! The operator's page in a browser, from a failed job to a protected asset; each act is refused without a token.

use std::path::PathBuf;

use reqwest::Method;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use sandbox::faults::{Action, Faults, Moment};
use sandbox::{NewAsset, Options};
use serde_json::{Value, json};
use tokio::process::Child;

use crate::documents::{blocks, document};
use crate::harness::broker::free_ports;
use crate::harness::browser::{Browser, Look};
use crate::harness::scene::every;
use crate::harness::serving::{Serving, stop};
use crate::harness::{assert_clean, client, is_protected, picture, quick, saved_versions, until_async};

const TOKEN: &str = "the-token-of-ann-in-this-test";
const REFUSED: u64 = 3;

/// Its section of the configuration.
fn page(port: u16) -> String {
    format!(
        "every = '1s'\n[page]\nlisten = '127.0.0.1:{port}'\n[[page.tokens]]\nname = 'ann'\ntoken = '{TOKEN}'\n"
    )
}

/// A machine at work whose library has jobs that failed: three refused by a fault, which is over, and one without permission.
struct Scene {
    serving: Serving,
    running: Child,
    port: u16,
    refused: Vec<String>,
    locked: String,
}

impl Scene {
    async fn new() -> Self {
        let serving = Serving::new(Options { assets: 0, ..quick() }).await;
        let [port] = free_ports();
        serving.bench.configure(&page(port));
        let bench = &serving.bench;
        let running = serving.start(&["--full"], &[]);
        // A walk over the library and a look for changes could both publish a job for a new asset.
        serving.until_answered("/readyz", "200 OK").await;
        serving.until_idle().await;
        let no = Action::Answer { status: 400, body: "no".to_owned(), content_type: "text/plain".to_owned() };
        bench.sandbox.set_faults(every("bynder.save", Moment::Before, no));
        let name = |number| format!("<script>alert({number})</script>.jpg");
        let refused = (0..REFUSED).map(|number| NewAsset { name: name(number), ..picture("a.jpg", number) });
        let refused = refused.map(|picture| bench.sandbox.add_asset(picture).unwrap()).collect();
        let locked = NewAsset { refuses_download: true, ..picture("locked.jpg", 9) };
        let locked = bench.sandbox.add_asset(locked).unwrap();
        let scene = Self { serving, running, port, refused, locked };
        until_async(async || scene.failed().await == REFUSED + 1).await;
        scene.serving.bench.sandbox.set_faults(Faults::default());
        scene
    }

    async fn failed(&self) -> u64 {
        self.serving.status().await["queues"]["failed"].as_u64().unwrap_or_default()
    }

    fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn acts(&self) -> Vec<Value> {
        let said = client().get(self.address("/api/v1/acts")).send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&said).unwrap()["acts"].as_array().unwrap().clone()
    }
}

async fn sign_in(browser: &Browser) {
    browser.open("/login").await;
    browser.fill("token", TOKEN).await;
    browser.press("Sign in").await;
}

/// The text that the forms of this session contain.
async fn csrf(browser: &Browser) -> String {
    browser.open("/pause").await;
    let field = browser.client.find(fantoccini::Locator::Css("input[name=csrf]")).await.unwrap();
    field.attr("value").await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_finds_the_failed_jobs_retries_a_class_and_sees_it_end_protected() {
    let scene = Scene::new().await;
    let bench = &scene.serving.bench;
    let browser = Browser::start(scene.port).await;
    browser.open("/").await;
    browser.assert_accessible().await;
    browser.open("/failed").await;
    let said = browser.text().await;
    assert!(said.contains("<script>alert(0)</script>.jpg") && said.contains("locked.jpg"), "{said}");
    assert!(!said.contains("Retry"), "before the sign-in: {said}");
    browser.assert_accessible().await;
    let pictures = browser.pictures().await;
    assert!(
        pictures.len() == 4 && pictures.iter().all(|(loaded, shown)| *loaded > 0 && *shown > 0),
        "{pictures:?}"
    );

    browser.open("/login?next=/failed").await;
    browser.assert_accessible().await;
    browser.fill("token", "wrong").await;
    browser.press("Sign in").await;
    assert!(browser.text().await.contains("This is not a token of this page"));
    browser.assert_accessible().await;
    browser.fill("token", TOKEN).await;
    browser.press("Sign in").await;
    browser.assert_accessible().await;
    let said = browser.text().await;
    assert!(said.contains("ann") && said.contains("locked.jpg"), "{said}");

    browser.choose("class", "refused").await;
    browser.press("Filter").await;
    let said = browser.text().await;
    assert!(said.contains("alert(2)") && !said.contains("locked.jpg"), "{said}");
    browser.assert_accessible().await;
    browser.tab_to("Retry all that match").await;
    let said = browser.text().await;
    assert!(said.contains("Retry 3 failed jobs?") && said.contains("class refused"), "{said}");
    browser.assert_accessible().await;
    assert_eq!(scene.failed().await, REFUSED + 1, "it is only counted");
    browser.tab_to("Retry 3").await;
    browser.until("/acts", |said| said.contains("3 of 3 jobs")).await;
    browser.assert_accessible().await;
    browser.until("/failed", |said| said.contains("locked.jpg") && !said.contains("alert(")).await;
    until_async(async || scene.refused.iter().all(|id| is_protected(&bench.asset(id)))).await;
    assert!(!is_protected(&bench.asset(&scene.locked)));

    // An asset's whole history, one job dropped, a pause, and the way out.
    browser.until(&format!("/assets/{}", scene.refused[0]), |said| said.contains("alert(0)")).await;
    browser.assert_accessible().await;
    let pictures = browser.pictures().await;
    assert!(matches!(*pictures, [(loaded, _)] if loaded > 0), "{pictures:?}");
    assert_eq!(bench.sandbox.stats().requests["s3.thumbnail"], REFUSED + 1, "pages show pictures again");
    browser.open("/runs").await;
    browser.assert_accessible().await;
    browser.open("/failed/drop").await;
    assert!(browser.text().await.contains("Drop 1 failed job?"));
    browser.press("Drop 1").await;
    browser.until("/failed", |said| !said.contains("locked.jpg")).await;
    browser.assert_accessible().await;
    browser.open("/pause").await;
    browser.assert_accessible().await;
    browser.fill("reason", "a migration").await;
    browser.press("Pause").await;
    browser.until("/resume", |said| said.contains("a migration (ann)")).await;
    browser.assert_accessible().await;
    browser.press("Resume").await;
    browser.until("/resume", |said| said.contains("Nothing is paused")).await;
    browser.open("/logout").await;
    browser.assert_accessible().await;
    browser.press("Sign out").await;
    browser.open("/failed/retry").await;
    assert!(browser.text().await.contains("Your token"), "{}", browser.text().await);

    let acts: Vec<_> =
        scene.acts().await.iter().map(|act| (act["by"].clone(), act["kind"].clone())).collect();
    let expected = ["resume", "pause", "drop", "retry"].map(|kind| (json!("ann"), json!(kind)));
    assert_eq!(acts, expected);
    stop(scene.running).await;
    assert!(scene.refused.iter().all(|id| saved_versions(&bench.asset(id)) == 1));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_act_is_refused_without_the_token_and_from_anywhere_else() {
    let scene = Scene::new().await;
    let browser = Browser::start(scene.port).await;
    sign_in(&browser).await;
    let (csrf, cookie) = (csrf(&browser).await, browser.cookies().await);
    let (own, host) = (format!("http://localhost:{}", scene.port), format!("localhost:{}", scene.port));
    let form = format!("csrf={csrf}&until=999999");
    let signed: &[(HeaderName, &str)] = &[(COOKIE, &cookie), (ORIGIN, &own), (HOST, &host)];
    let owned = |headers: &[(HeaderName, &str)]| -> Vec<_> {
        headers.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect()
    };
    // The headers of a right request, but for this one.
    let with = |name: HeaderName, value: &str| {
        let mut headers = owned(signed);
        headers.retain(|(other, _)| *other != name);
        if !value.is_empty() {
            headers.push((name, value.to_owned()));
        }
        headers
    };
    let site = HeaderName::from_static("sec-fetch-site");
    let forged = [
        ("no cookie", with(COOKIE, ""), &*form, 403),
        ("a made-up cookie", with(COOKIE, &format!("connector{}=00", scene.port)), &form, 403),
        ("another origin", with(ORIGIN, "http://evil.example"), &form, 403),
        ("no origin", with(ORIGIN, ""), &form, 403),
        ("an opaque origin", with(ORIGIN, "null"), &form, 403),
        ("another site", with(site, "cross-site"), &form, 403),
        ("another host", with(HOST, "evil.example"), &form, 421),
        ("a wrong text of the form", owned(signed), "csrf=00&until=999999", 403),
        ("no text of the form", owned(signed), "until=999999", 403),
    ];
    let client = client();
    let ask = async |method: Method, path: &str, headers: &[(HeaderName, String)], body: &str| {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        let mut headers: HeaderMap = headers.collect();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let request = client.request(method, scene.address(path)).headers(headers).body(body.to_owned());
        request.send().await.unwrap().status().as_u16()
    };
    for path in ["/failed/retry", "/failed/drop", "/pause", "/resume"] {
        for (what, headers, body, expected) in &forged {
            assert_eq!(ask(Method::POST, path, headers, body).await, *expected, "{what}: {path}");
        }
        let signed = owned(signed);
        for method in [Method::PUT, Method::DELETE] {
            assert_eq!(ask(method.clone(), path, &signed, &form).await, 405, "{method} {path}");
        }
        let api = format!("/api/v1{path}");
        assert_eq!(ask(Method::GET, &api, &signed, "").await, 405, "{api}");
        assert_eq!(ask(Method::POST, &api, &signed, &form).await, 401, "{api} by a cookie");
        let wrong = [(AUTHORIZATION, "Bearer of-somebody-else".to_owned()), (HOST, host.clone())];
        assert_eq!(ask(Method::POST, &api, &wrong, "{}").await, 401, "{api}");
    }
    // The cookie of a session that has ended.
    browser.open("/logout").await;
    browser.press("Sign out").await;
    assert_eq!(ask(Method::POST, "/failed/drop", &owned(signed), &form).await, 403);
    assert_eq!((scene.failed().await, scene.acts().await.len()), (REFUSED + 1, 0));
    // What a right one is answered with.
    let request = client.post(scene.address("/api/v1/failed/drop")).bearer_auth(TOKEN).json(&json!({}));
    let counted: Value = request.send().await.unwrap().text().await.unwrap().parse().unwrap();
    assert_eq!(counted["matching"], REFUSED + 1, "{counted}");
    stop(scene.running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_the_page_are_small_enough_for_the_readme() {
    // scripts/pictures keeps them.
    let kept = std::env::var_os("CONNECTOR_PICTURES").map(PathBuf::from);
    let serving = Serving::new(Options { assets: 30, ..quick() }).await;
    let [port] = free_ports();
    serving.bench.configure(&page(port));
    let running = serving.start(&["--full"], &[]);
    until_async(async || serving.bench.surprises().await.is_empty()).await;
    let browser = Browser::start(port).await;
    sign_in(&browser).await;
    browser.until("/", |said| said.contains("% protected") && said.contains("No job is left")).await;
    let pictures = [
        ("page-overview", "/", Look { width: 1280, scheme: "light" }),
        ("page-failed", "/failed", Look { width: 880, scheme: "light" }),
        ("page-narrow", "/", Look { width: 390, scheme: "dark" }),
    ];
    for (name, path, look) in pictures {
        browser.look(look).await;
        browser.open(path).await;
        // The library has files that are no pictures.
        for (loaded, shown) in browser.pictures().await {
            assert_eq!(loaded > 0, shown > 0, "{name}: a browser's sign for a picture that is missing");
        }
        let taken = browser.client.screenshot().await.unwrap();
        assert!((5_000..300_000).contains(&taken.len()), "{name}: {} bytes", taken.len());
        if let Some(folder) = &kept {
            std::fs::write(folder.join(format!("{name}.png")), taken).unwrap();
        }
    }
    stop(running).await;
}

/// The commands of docs/page.md for programs, with this page's address and the class and the count of this library.
#[tokio::test(flavor = "multi_thread")]
async fn the_documented_requests_are_answered_as_the_page_shows() {
    let scene = Scene::new().await;
    let folder = &scene.serving.bench.folder;
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/page"), TOKEN).unwrap();
    let page = document("docs/page.md");
    let commands = blocks(&page, "sh").pop().unwrap();
    let commands = commands.replace("127.0.0.1:9092", &format!("127.0.0.1:{}", scene.port));
    let commands = commands.replace("marker", "refused");
    let [list, act, count, retry] = commands.lines().collect::<Vec<_>>().try_into().unwrap();
    let ask = |line: &str| {
        let script = format!("{act}\n{line}");
        let mut shell = std::process::Command::new("bash");
        let output = shell.args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    };
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let shown = |line: &str| serde_json::from_str::<Value>(line.split_once(" # ").unwrap().1).unwrap();
    assert_eq!(ask(list)["jobs"].as_array().unwrap().len() as u64, REFUSED);
    let counted = ask(count);
    assert_eq!((keys(&counted), &counted["matching"]), (keys(&shown(count)), &json!(REFUSED)));
    let retry = retry.replace(&shown(count)["until"].to_string(), &counted["until"].to_string());
    let begun = ask(&retry);
    assert_eq!((keys(&begun), &begun["matching"]), (keys(&shown(&retry)), &json!(REFUSED)));
    let bench = &scene.serving.bench;
    until_async(async || scene.refused.iter().all(|id| is_protected(&bench.asset(id)))).await;
    stop(scene.running).await;
}
