use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use futures::future::{self, BoxFuture};
use secrecy::SecretString;
use tokio::sync::Barrier;
use url::Url;

use super::super::tests::{Open, id, json, response};
use super::*;
use crate::{Credential, Settings};
use common::file_name::Known;
use files::spool::{Length, Spool};

/// The result of an upload's call that meets this many pauses of this length.
async fn through(pauses: u32, remaining: Duration) -> Result<(), BynderError> {
    let calls = AtomicU32::new(0);
    retry_after_pauses(|| {
        let call = calls.fetch_add(1, Ordering::Relaxed);
        async move { if call < pauses { Err(BynderError::Paused { remaining }) } else { Ok(()) } }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn an_upload_under_way_waits_out_a_silence_and_not_for_ever() {
    assert_eq!(through(1, Duration::from_secs(330)).await, Ok(()));
    assert!(through(2, Duration::from_secs(330)).await.is_err());
}

const AT_ONCE: usize = 2;

/// What storage waits for before it responds to a part of this number.
type Hold = Box<dyn Fn(u32) -> BoxFuture<'static, ()> + Send + Sync>;

struct Portal {
    origin: Url,
    hold: Hold,
    registers: bool,
    /// Whether storage refuses each part and quotes its signature.
    quotes: bool,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    registered: Mutex<Vec<String>>,
}

async fn answer(State(portal): State<Arc<Portal>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 2 << 20).await.unwrap();
    let body = String::from_utf8_lossy(&body);
    match path.as_str() {
        "/api/upload/endpoint" => json(200, &format!("\"{}storage\"", portal.origin)),
        "/api/upload/init" => json(
            200,
            r#"{"s3file":{"uploadid":"U","targetid":"T"},"s3_filename":"K","multipart_params":{"key":"K","x-amz-signature":"s3cr3t-s1gnature"}}"#,
        ),
        "/storage" if portal.quotes => {
            let signature =
                body.split_once("s3cr3t").map(|(_, rest)| format!("s3cr3t{}", &rest[..10])).unwrap();
            response(403, "application/xml", &format!("<SignatureProvided>{signature}</SignatureProvided>"))
        }
        "/storage" => {
            let under_way = portal.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            portal.most_under_way.fetch_max(under_way, Ordering::SeqCst);
            let key = body.split_once("K/p").unwrap().1;
            (portal.hold)(key.split_once('\r').unwrap().0.parse().unwrap()).await;
            portal.under_way.fetch_sub(1, Ordering::SeqCst);
            response(201, "application/xml", "<PostResponse/>")
        }
        _ => match body.split_once("chunkNumber=") {
            Some(_) if !portal.registers => json(404, r#"{"message":"Upload doesn't exist"}"#),
            Some((_, number)) => {
                portal.registered.lock().unwrap().push(number.to_owned());
                json(202, r#"{"status":"ok"}"#)
            }
            None => json(202, r#"{"importId":"I","success":1}"#),
        },
    }
}

async fn portal(registers: bool, hold: Hold) -> (Arc<Portal>, Bynder) {
    portal_that(registers, false, hold).await
}

async fn portal_that(registers: bool, quotes: bool, hold: Hold) -> (Arc<Portal>, Bynder) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let portal = Arc::new(Portal {
        origin: origin.clone(),
        hold,
        registers,
        quotes,
        under_way: AtomicUsize::new(0),
        most_under_way: AtomicUsize::new(0),
        registered: Mutex::default(),
    });
    let router = axum::Router::new().fallback(answer).with_state(Arc::clone(&portal));
    tasks::brief(async move { axum::serve(listener, router).await });
    let settings = Settings {
        portal: origin,
        allow_http: false,
        storage_hosts: http_client::LinkHosts::Any,
        credential: Credential::Token(SecretString::from("t0ken")),
        request_timeout: Duration::from_secs(30),
        part_size: 1 << 20,
        parts_at_once: AT_ONCE,
        observer: Arc::new(()),
    };
    (portal, Bynder::new(settings, Arc::new(Open::default())).unwrap())
}

/// A file of this many parts.
async fn film(parts: u64) -> (tempfile::TempDir, SpooledFile) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path(), 8 << 20).unwrap();
    let piece = || Ok::<_, std::io::Error>(bytes::Bytes::from(vec![7; 1 << 20]));
    let file = spool.receive(stream::iter((0..parts).map(|_| piece())), Length::Unknown, None).await.unwrap();
    (folder, file)
}

#[tokio::test]
async fn parts_go_out_as_many_at_once_as_is_set_and_are_registered_in_order() {
    // No part gets a response before the next is sent, and of two the second gets it first.
    let (together, answered) = (Arc::new(Barrier::new(AT_ONCE)), Arc::new(Barrier::new(AT_ONCE)));
    let hold: Hold = Box::new(move |number| {
        let (together, answered) = (Arc::clone(&together), Arc::clone(&answered));
        Box::pin(async move {
            together.wait().await;
            let both = async move { _ = answered.wait().await };
            if number % 2 == 1 {
                both.await;
            } else {
                tasks::brief(both);
            }
        })
    });
    let (portal, bynder) = portal(true, hold).await;
    let (_folder, file) = film(4).await;
    assert_eq!(bynder.upload(&id(), &file, &film_name()).await.unwrap().as_str(), "I");
    assert_eq!(*portal.registered.lock().unwrap(), ["1", "2", "3", "4"]);
    assert_eq!(portal.most_under_way.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn a_process_sends_so_many_parts_at_once_however_many_files_it_uploads() {
    let together = Arc::new(Barrier::new(MOST_PARTS_UNDER_WAY));
    let hold: Hold = Box::new(move |_| {
        let together = Arc::clone(&together);
        Box::pin(async move { _ = together.wait().await })
    });
    let (portal, bynder) = portal(true, hold).await;
    let (_folder, file) = film(1).await;
    let (asset, name) = (id(), film_name());
    let uploads = (0..2 * MOST_PARTS_UNDER_WAY).map(|_| bynder.upload(&asset, &file, &name));
    future::try_join_all(uploads).await.unwrap();
    assert_eq!(portal.most_under_way.load(Ordering::SeqCst), MOST_PARTS_UNDER_WAY);
}

#[tokio::test]
async fn a_refused_registration_ends_the_upload_and_waits_for_no_part() {
    let hold: Hold =
        Box::new(|number| if number == 1 { Box::pin(async {}) } else { Box::pin(future::pending()) });
    let (_, bynder) = portal(false, hold).await;
    let (_folder, file) = film(3).await;
    let ended = bynder.upload(&id(), &file, &film_name()).await;
    assert!(matches!(ended, Err(BynderError::NotFound { .. })), "{ended:?}");
}

#[tokio::test]
async fn no_error_shows_the_signature_of_a_form_that_storage_quotes() {
    let (_, bynder) = portal_that(true, true, Box::new(|_| Box::pin(async {}))).await;
    let (_folder, file) = film(1).await;
    let said = bynder.upload(&id(), &file, &film_name()).await.unwrap_err().to_string();
    assert!(said.contains("<SignatureProvided>…</SignatureProvided>"), "{said}");
    // Storage may have put anything into the name, and anyone may read what a worker waits for.
    assert!(!said.contains("film"), "{said}");
}

#[test]
fn the_fields_that_storage_requires_are_few_short_and_flat() {
    let reads = |fields: serde_json::Value| {
        let target = serde_json::json!({
            "s3file": {"uploadid": "U", "targetid": "T"}, "s3_filename": "K", "multipart_params": fields,
        });
        serde_json::from_value::<UploadTarget>(target)
    };
    let fields = |count: usize| (0..count).map(|field| (format!("f{field}"), "".into())).collect();
    let target = reads(serde_json::json!({"acl": "private", "n": 7, "b": true, "long": "x".repeat(8 << 10)}));
    let read = target.unwrap().multipart_params.0;
    assert_eq!((read["acl"].as_str(), read["n"].as_str(), read["b"].as_str()), ("private", "7", "true"));
    assert!(reads(serde_json::Value::Object(fields(64))).is_ok());
    for refused in [
        // The form of a request is a chain of all its fields, whose end recurses through them.
        serde_json::Value::Object(fields(65)),
        serde_json::Value::Object(fields(65_000)),
        serde_json::json!({"long": "x".repeat((8 << 10) + 1)}),
        serde_json::json!({"x".repeat((8 << 10) + 1): ""}),
        serde_json::json!({"policy": ["a"]}),
        serde_json::json!({"policy": {"a": "b"}}),
    ] {
        assert!(reads(refused.clone()).is_err(), "{:.80}", refused.to_string());
    }
}

fn film_name() -> FileName {
    FileName::of(Known { own: Some("film.mp4"), ..Known::default() }).unwrap()
}
