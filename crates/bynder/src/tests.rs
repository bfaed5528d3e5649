use std::collections::VecDeque;
use std::sync::Mutex;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use futures::TryStreamExt;
use secrecy::SecretString;

use super::*;
use common::asset::{AssetId, AssetType};
use common::file_name::{FileName, Known};
use common::job::Lane;
use files::spool::{Length, Spool};
use http_client::Sent;

/// Sends the scripted responses in order, and records the requests.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<Pages>>);

/// The responses to send, and the requests received.
type Pages = (VecDeque<Response<Body>>, Vec<Seen>);

#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    body: String,
}

async fn answer(State(script): State<Script>, request: Request) -> Response<Body> {
    let line = format!("{} {}", request.method(), request.uri());
    let header = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap();
    let mut script = script.0.lock().unwrap();
    script.1.push(Seen { line, authorization: header, body: String::from_utf8_lossy(&body).into_owned() });
    script.0.pop_front().unwrap_or_else(|| response(500, "text/plain", "nothing is scripted"))
}

pub(super) fn response(status: u16, kind: &str, body: &str) -> Response<Body> {
    Response::builder().status(status).header("content-type", kind).body(Body::from(body.to_owned())).unwrap()
}

pub(super) fn json(status: u16, body: &str) -> Response<Body> {
    response(status, "application/json", body)
}

impl Script {
    pub(super) async fn serve(answers: Vec<Response<Body>>) -> (Self, Url) {
        let script = Self(Arc::new(Mutex::new((answers.into(), Vec::new()))));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let router = axum::Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(script.clone());
        tasks::brief(async move { axum::serve(listener, router).await });
        (script, url)
    }

    pub(super) fn then(&self, answers: Vec<Response<Body>>) {
        self.0.lock().unwrap().0.extend(answers);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().1.clone()
    }
}

/// Admits every call and counts refusals.
#[derive(Debug, Default)]
pub(super) struct Open(Mutex<u32>);

#[async_trait]
impl Gate for Open {
    async fn admit(&self, _: Lane, calls: u32) -> Result<u32, Paused> {
        self.check().map(|()| calls)
    }

    fn check(&self) -> Result<(), Paused> {
        match *self.0.lock().unwrap() {
            0 => Ok(()),
            _ => Err(Paused { remaining: Duration::from_secs(330) }),
        }
    }

    fn interval(&self) -> Duration {
        Duration::ZERO
    }

    fn refused(&self) {
        *self.0.lock().unwrap() += 1;
    }

    fn answered(&self) {}

    fn refund(&self, _: u32) {}
}

pub(super) fn settings(portal: Url, credential: Credential) -> Settings {
    Settings {
        portal,
        allow_http: false,
        storage_hosts: http_client::LinkHosts::Any,
        credential,
        request_timeout: Duration::from_secs(5),
        part_size: 32 << 20,
        parts_at_once: 1,
        observer: Arc::new(()),
    }
}

pub(super) fn client(portal: Url, credential: Credential) -> Bynder {
    Bynder::new(settings(portal, credential), Arc::new(Open::default())).unwrap()
}

pub(super) async fn scripted(answers: Vec<Response<Body>>) -> (Script, Bynder) {
    let (script, url) = Script::serve(answers).await;
    (script, client(url, Credential::Token(SecretString::from("t0ken"))))
}

pub(super) fn id() -> AssetId {
    "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF".parse().unwrap()
}

const ROW: &str = r#"{"id":"1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF","name":null,"type":"image","extension":["TIF"],
    "fileSize":"18096064","activeVersion":2,"dateCreated":"2024-09-26T12:42:21Z","dateModified":"2024-10-10T09:52:05Z",
    "archive":1,"isPublic":"0","tags":[],"propertyOptions":["A","B"],"property_Country":["France","Belgium"],
    "property_imatag_hash":"text","width":null,"mediaItems":[
      {"type":"original","version":"2","active":1,"size":18096064,"fileName":"b.tif","width":null},
      {"type":"original","version":1,"active":0,"size":null},{"type":"web","version":2,"active":1}]}"#;

#[tokio::test]
async fn an_asset_is_read_in_whatever_form_the_portal_writes_it() {
    let (script, bynder) = scripted(vec![json(200, ROW)]).await;
    let detail = bynder.asset(&id()).await.unwrap();
    assert_eq!((detail.active(), detail.top()), (Some(2), Some(2)));
    assert_eq!(
        detail.versions.iter().map(|version| version.bytes).collect::<Vec<_>>(),
        [None, Some(18_096_064)]
    );
    let asset = detail.asset;
    assert_eq!((asset.bytes, asset.kind, asset.archived), (18_096_064, AssetType::Image, true));
    assert_eq!(asset.extensions, ["TIF"]);
    assert_eq!(asset.property_text("imatag_hash").as_deref(), Some("text"));
    assert_eq!(asset.properties["Country"], ["France", "Belgium"]);
    assert_eq!(script.seen()[0].authorization.as_deref(), Some("Bearer t0ken"));
}

/// An asset with three versions, each with this `active`, and with these further fields.
fn three_versions(active: [&str; 3], more: &str) -> String {
    let items = (1..).zip(active).map(|(number, active)| {
        let flag = if active.is_empty() { String::new() } else { format!(r#","active":{active}"#) };
        format!(r#"{{"type":"original","version":{number},"size":{number}00{flag}}}"#)
    });
    let items = items.collect::<Vec<_>>().join(",");
    let dates = r#""dateCreated":"2024-09-26T12:42:21Z","dateModified":"2024-10-10T09:52:05Z""#;
    format!(
        r#"{{"id":"1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF","type":"image",{dates},{more}"mediaItems":[{items}]}}"#
    )
}

#[tokio::test]
async fn the_active_version_is_what_the_portal_says_and_never_the_lowest_of_a_list_that_leaves_it_open() {
    let open =
        [["", "", ""], ["1", "1", "1"], ["0", "0", "0"], ["null", "null", "null"], [r#""yes""#, "", ""]];
    for flags in open {
        let named = three_versions(flags, r#""activeVersion":"3","#);
        let (script, bynder) = scripted(vec![json(200, &named)]).await;
        assert_eq!(bynder.asset(&id()).await.unwrap().active(), Some(3), "{flags:?}");
        assert!(script.seen()[0].line.contains("includeVersionNumber=1"), "{:?}", script.seen());
        // The row is read if the response leaves the active version open, and counts only if no newer version
        // exists.
        for (row, active) in [("3", Some(3)), ("1", None), ("null", None)] {
            for more in ["", r#""activeVersion":7,"#] {
                let look = three_versions(flags, more);
                let row =
                    format!("[{}]", three_versions(["", "", ""], &format!(r#""activeVersion":{row},"#)));
                let (script, bynder) = scripted(vec![json(200, &look), json(200, &row)]).await;
                let detail = bynder.asset(&id()).await.unwrap();
                assert_eq!((detail.active(), detail.top()), (active, Some(3)), "{flags:?} {row}");
                assert_eq!(script.seen().len(), 2);
            }
        }
    }
    for (flags, active) in [(["1", "0", "0"], 1), (["", "1", ""], 2), (["0", "", "1"], 3)] {
        let (script, bynder) = scripted(vec![json(200, &three_versions(flags, ""))]).await;
        assert_eq!(bynder.asset(&id()).await.unwrap().active(), Some(active), "{flags:?}");
        assert_eq!(script.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_list_that_leaves_a_version_without_its_number_is_no_list() {
    let numbered = three_versions(["", "", ""], "");
    let (_, bynder) =
        scripted(vec![json(200, &numbered.replace(r#""version":3"#, r#""version":null"#))]).await;
    let detail = bynder.asset(&id()).await.unwrap();
    assert_eq!((detail.active(), detail.top()), (None, None));
}

#[tokio::test]
async fn the_three_shapes_of_a_listing_are_read_and_bad_rows_left_out() {
    let rows = format!("[{ROW},{{\"id\":\"../evil\"}},7]");
    let shapes = [
        (rows.clone(), None),
        (format!(r#"{{"total":{{"count":42}},"media":{rows}}}"#), Some(42)),
        (format!(r#"{{"count":{{"total":"42","tags":[]}},"media":{rows}}}"#), Some(42)),
    ];
    for (body, total) in shapes {
        let (_, bynder) = scripted(vec![json(200, &body)]).await;
        let page = bynder.list(&ListQuery { limit: 3, ..ListQuery::default() }).await.unwrap();
        assert_eq!((page.assets.len(), page.rows(), page.total), (1, 3, total));
    }
}

#[tokio::test]
async fn date_filters_have_whole_seconds_and_a_z() {
    let (script, bynder) = scripted(vec![json(200, "[]")]).await;
    let from = "2026-01-02T03:04:05.678Z".parse().unwrap();
    let query = ListQuery { dates: Some((DateField::Modified, Some(from), None)), ..ListQuery::default() };
    bynder.list(&query).await.unwrap();
    assert!(
        script.seen()[0].line.contains("dateModified=2026-01-02T03%3A04%3A05Z&")
            || script.seen()[0].line.ends_with("dateModified=2026-01-02T03%3A04%3A05Z"),
        "{:?}",
        script.seen()
    );
}

#[tokio::test]
async fn a_portal_that_returns_one_page_for_all_is_asked_for_two() {
    let row = r#"[{"id":"B","dateCreated":"2024-09-26T12:42:21Z","dateModified":"2024-10-10T09:52:05Z"}]"#;
    let (script, bynder) = scripted((0..9).map(|_| json(200, row)).collect()).await;
    let found = bynder.find_created_since(jiff::Timestamp::UNIX_EPOCH, |_| false).await;
    assert!(matches!(found, Err(BynderError::Unexpected { .. })), "{found:?}");
    assert_eq!(script.seen().len(), 2);
}

#[tokio::test]
async fn a_null_in_a_row_is_an_absence_and_a_row_that_cannot_be_read_is_named() {
    let nulls = r#"{"id":"B","type":null,"mediaItems":null,"fileName":null,"activeVersion":null,"tags":null,
        "dateCreated":"2024-09-26T12:42:21Z","dateModified":"2024-10-10T09:52:05Z"}"#;
    let dateless = r#"{"id":"C","dateCreated":null,"dateModified":"2024-10-10T09:52:05Z"}"#;
    let (_, bynder) = scripted(vec![json(200, &format!("[{nulls},{dateless},7]"))]).await;
    let page = bynder.list(&ListQuery::default()).await.unwrap();
    assert_eq!((page.assets.len(), page.assets[0].kind), (1, AssetType::Other));
    assert_eq!(page.unreadable, [Some("C".to_owned()), None]);
}

#[tokio::test]
async fn each_refusal_is_told_apart_by_what_the_caller_can_do() {
    type Check = fn(&BynderError) -> bool;
    let table: [(Response<Body>, Check); 7] = [
        (response(401, "text/plain", "Invalid or expired token.\n"), |error| {
            matches!(error, BynderError::Unauthorized { .. })
        }),
        (
            json(403, r#"{"message":"Access denied","statuscode":"403"}"#),
            |error| matches!(error, BynderError::Forbidden { message, .. } if message == "Access denied"),
        ),
        (json(404, r#"{"message":"Media not found","statuscode":404}"#), |error| {
            matches!(error, BynderError::NotFound { .. })
        }),
        (json(400, "{}"), |error| matches!(error, BynderError::Refused { status: 400, .. })),
        (response(504, "text/html", "<h1>"), |error| {
            matches!(error, BynderError::Unavailable { sent: Sent::Maybe, .. })
        }),
        (response(200, "text/html", "<h1>"), |error| {
            matches!(error, BynderError::Unexpected { .. }) && error.may_have_been_sent()
        }),
        (response(302, "text/html", ""), |error| matches!(error, BynderError::Misconfigured { .. })),
    ];
    for (answer, is_right) in table {
        let (_, bynder) = scripted(vec![answer]).await;
        let error = bynder.asset(&id()).await.unwrap_err();
        assert!(is_right(&error), "{error:?}");
        assert!(error.to_string().contains(id().as_str()), "{error}");
    }
}

#[tokio::test]
async fn a_429_pauses_the_gate_and_nothing_more_is_sent() {
    let (script, bynder) = scripted(vec![response(429, "text/plain", "")]).await;
    assert!(matches!(bynder.asset(&id()).await, Err(BynderError::Paused { .. })));
    assert!(matches!(bynder.asset(&id()).await, Err(BynderError::Paused { .. })));
    assert_eq!(script.seen().len(), 1);
}

#[tokio::test]
async fn a_save_that_is_not_converted_is_no_redirect_and_a_web_page_is_no_success() {
    let answers = vec![json(303, "{}"), json(201, r#"{"success":true}"#), response(201, "text/html", "<p>")];
    let (_, bynder) = scripted(answers).await;
    let import = ImportId::try_from("I".to_owned()).unwrap();
    assert_eq!(bynder.save_version(&id(), &import).await, Ok(Saved::NotConverted));
    assert_eq!(bynder.save_version(&id(), &import).await, Ok(Saved::Done(())));
    assert!(bynder.save_version(&id(), &import).await.unwrap_err().may_have_been_sent());
}

#[tokio::test]
async fn many_askers_share_one_poll() {
    let body = r#"{"itemsDone":["A"],"itemsFailed":["B"],"itemsRejected":["C"]}"#;
    let (script, bynder) = scripted(vec![json(200, body), json(200, "null")]).await;
    let imports = ["A", "B", "C", "D"].map(|import| ImportId::try_from(import.to_owned()).unwrap());
    let answers = futures::future::join_all(imports.iter().map(|import| bynder.poll_import(import))).await;
    let states: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(states, [ImportState::Done, ImportState::Failed, ImportState::Rejected, ImportState::Pending]);
    assert_eq!(script.seen().len(), 1);
    assert_eq!(bynder.poll_import(&imports[0]).await, Ok(ImportState::Pending));
}

#[tokio::test]
async fn a_new_picture_does_not_wait_in_the_lane_of_the_backlog_for_a_shared_poll() {
    let done = r#"{"itemsDone":["A","B"]}"#;
    let (script, bynder) = scripted(vec![json(200, done), json(200, done)]).await;
    let [old, new] = ["A", "B"].map(|import| ImportId::try_from(import.to_owned()).unwrap());
    let lanes = [Lane::Backlog, Lane::Fresh].map(|lane| bynder.in_lane(lane));
    let polls = tokio::join!(lanes[0].poll_import(&old), lanes[1].poll_import(&new));
    assert_eq!(polls, (Ok(ImportState::Done), Ok(ImportState::Done)));
    assert_eq!(script.seen().len(), 2);
}

#[tokio::test]
async fn the_token_goes_to_the_portal_and_nowhere_else() {
    let (storage, storage_url) = Script::serve(vec![]).await;
    let (portal, bynder) = scripted(vec![]).await;
    let mut moved = response(302, "text/plain", "");
    moved.headers_mut().insert("location", format!("{storage_url}moved").parse().unwrap());
    let mut file = response(200, "image/png", "file");
    file.headers_mut()
        .insert("content-disposition", "attachment; filename=af25c0ffee1234567890.png".parse().unwrap());
    storage.then(vec![moved, file, response(201, "application/xml", "")]);
    portal.then(vec![
        json(200, &format!(r#"{{"s3_file":"{storage_url}file?hmac=af25c0ffee1234567890"}}"#)),
        json(200, &format!("\"{storage_url}\"")),
        json(200, r#"{"s3file":{"uploadid":"U","targetid":"T"},"s3_filename":"K","multipart_params":{"key":"K","acl":"private"}}"#),
        json(500, r#"{"message":"Upload not ready"}"#),
        json(202, r#"{"status":"ok"}"#),
        json(202, r#"{"importId":"I","success":1}"#),
    ]);
    let download = bynder.download(&id(), 1, None).await.unwrap();
    assert_eq!(download.file_name, None, "it repeats a code of the link that led there");
    let body: Vec<_> = download.body.try_collect().await.unwrap();
    assert_eq!(body.concat(), b"file");
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 1 << 20).unwrap();
    let content = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"new file"))]);
    let file = spool.receive(content, Length::Unknown, None).await.unwrap();
    let name = FileName::of(Known { own: Some("näme/with slash.png"), ..Known::default() }).unwrap();
    let import = bynder.upload(&id(), &file, &name).await.unwrap();
    assert_eq!(import.as_str(), "I");
    assert!(storage.seen().iter().all(|seen| seen.authorization.is_none()), "{:?}", storage.seen());
    assert_eq!(storage.seen().len(), 3);
    assert!(portal.seen().iter().all(|seen| seen.authorization.is_some()));
    let sent = &storage.seen()[2].body;
    assert!(sent.contains("K/p1") && sent.contains("new file"));
    let (init, finalise) = (&portal.seen()[2].body, &portal.seen()[5].body);
    assert!(init.contains("filename=n%C3%A4me_with+slash.png"), "{init}");
    assert!(finalise.contains("original_filename=n%C3%A4me%2Fwith+slash.png"), "{finalise}");
}

#[tokio::test]
async fn a_web_page_is_taken_for_the_file_only_if_it_is_as_long_as_the_file() {
    let page = || response(200, "text/html", "<p>soon</p>");
    let of_unknown_length = || {
        let chunks = futures::stream::iter([Ok::<_, std::io::Error>("<p>soon</p>")]);
        let kind = Response::builder().header("content-type", "text/html");
        kind.body(Body::from_stream(chunks)).unwrap()
    };
    let cases = [
        (page(), None, false),
        (page(), Some(12), false),
        (page(), Some(11), true),
        (of_unknown_length(), None, false),
        (of_unknown_length(), Some(11), false),
        (response(200, "image/png", "file"), None, true),
    ];
    for (answer, length, is_taken) in cases {
        let (_storage, storage_url) = Script::serve(vec![answer]).await;
        let link = json(200, &format!(r#"{{"s3_file":"{storage_url}file"}}"#));
        let (_, bynder) = scripted(vec![link]).await;
        assert_eq!(bynder.download(&id(), 1, length).await.is_ok(), is_taken, "{length:?}");
    }
}

#[tokio::test]
async fn no_error_and_no_debug_text_shows_the_token() {
    let (_, bynder) = scripted(vec![response(401, "text/plain", "no")]).await;
    let error = bynder.account().await.unwrap_err();
    assert!(!format!("{error} {error:?} {bynder:?}").contains("t0ken"));
}
