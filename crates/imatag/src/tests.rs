use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures::TryStreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use common::file_name::{FileName, Known};
use files::spool::{Length, Spool, SpooledFile};
use queue::QueueError;

fn overridden(text: &str) -> Result<Profile, profile::ProfileError> {
    Profile::load("imatag", &text.parse().unwrap())
}

#[test]
fn the_builtin_profile_is_read_and_says_that_nobody_confirmed_it() {
    let profile = overridden("").unwrap();
    assert!(!profile.confirmed);
    assert_eq!(profile.base_url.as_str(), "https://app.imatag.com/api/v4");
}

#[test]
fn single_keys_are_overridden_and_wrong_ones_named() {
    let profile = overridden("submit = { path = 'files/' }").unwrap();
    assert_eq!((profile.submit.path.as_str(), profile.submit.file_field.as_str()), ("files/", "file"));
    let table = [
        ("sumbit = { path = 'x' }", "unknown field `sumbit`"),
        ("status = { path = 'media/' }", "status.path needs {id}"),
        ("response = { id = 'id' }", "\"id\" is not a JSON Pointer"),
        ("mode = 'sometimes'", "mode: unknown variant, expected one of `auto`"),
        ("polling = { deadline = 'soon' }", "is not a duration"),
        ("submit = { file_field = '' }", "submit.file_field is needed"),
    ];
    for (text, wanted) in table {
        let message = overridden(text).unwrap_err().to_string();
        assert!(message.contains(wanted), "{text}: {message}");
    }
}

#[test]
fn a_profile_file_that_is_not_there_is_named() {
    let message = Profile::load("/nowhere.toml", &toml::Table::new()).unwrap_err().to_string();
    assert!(message.contains("cannot read the wire profile /nowhere.toml"), "{message}");
}

#[test]
fn ids_from_outside_stay_inside_their_path_segment() {
    let imatag = client(None, Credential::ApiKey(secrecy::SecretString::from("k3y")));
    let evil = MediumId::try_from("../../account?x=".to_owned()).unwrap();
    let url = imatag.url("media/{id}/", Some(&evil)).unwrap();
    assert_eq!(url.as_str(), "https://app.imatag.com/api/v4/media/%2E%2E%2F%2E%2E%2Faccount%3Fx%3D/");
    assert!(imatag.url("https://elsewhere.example/", None).is_err());
    assert!(!format!("{imatag:?}").contains("k3y"));
}

fn client(base_url: Option<Url>, credential: Credential) -> Imatag {
    client_with("", base_url, credential)
}

fn client_with(profile: &str, base_url: Option<Url>, credential: Credential) -> Imatag {
    let settings = Settings {
        profile: overridden(profile).unwrap(),
        base_url,
        allow_http: false,
        credential,
        directories: ["acme".parse().unwrap()].into(),
        media_id_metadata: "bynder_media_id".to_owned(),
        request_timeout: Duration::from_secs(1),
        observer: Arc::new(()),
        exchange_log: None,
        uploads_in_flight: 1,
    };
    Imatag::new(settings).unwrap()
}

/// A file of one byte.
async fn spooled(folder: &std::path::Path) -> SpooledFile {
    let content = futures::stream::iter([Ok::<_, std::convert::Infallible>(bytes::Bytes::from_static(b"x"))]);
    let spool = Spool::open(folder, 1 << 20).unwrap();
    spool.receive(content, Length::Announced(1), None).await.unwrap()
}

#[tokio::test]
async fn a_file_that_the_profile_does_not_allow_is_not_said_to_be_refused_by_imatag() {
    let folder = tempfile::tempdir().unwrap();
    let file = spooled(folder.path()).await;
    let (asset, directory) = ("A".parse().unwrap(), "acme".parse().unwrap());
    let name = FileName::of(Known { own: Some("a.png"), ..Known::default() }).unwrap();
    let table = [
        ("limits = { content_types = ['video/'] }", "does not list image/png (limits.content_types)"),
        ("limits = { largest_file = '0 B' }", "takes no file of 1 bytes (limits.largest_file)"),
    ];
    for (profile, wanted) in table {
        // Nothing listens at the address, so a request that is sent ends as unavailable.
        let nowhere = Some("http://127.0.0.1:9/".parse().unwrap());
        let imatag = client_with(profile, nowhere, Credential::ApiKey(secrecy::SecretString::from("k3y")));
        let submit = Submit {
            file_name: &name,
            media_type: "image/png",
            asset: &asset,
            original: file.sha256(),
            directory: &directory,
        };
        let answer = imatag.submit(&file, submit, imatag.upload_slot().await).await.unwrap();
        let Submitted::Unlisted { reason } = answer.submitted else { panic!("{answer:?}") };
        assert!(reason.starts_with("the connector's profile") && reason.contains(wanted), "{reason}");
    }
}

#[test]
fn an_extension_refuses_a_file_only_where_every_type_that_it_names_is_unlisted() {
    let limits = |text: &str| overridden(&format!("limits = {{ content_types = {text} }}")).unwrap().limits;
    let table = [
        (overridden("").unwrap().limits, "wav MP3 docx eps", "jpg PSD cr3 mp4 mov pdf indd bin ai"),
        (limits("['image/jpeg', 'video/mp4']"), "png psd MOV pdf ai heic", "JPE mp4 f4v m4v txt 0"),
        (limits("['image/heic', 'application/pdf']"), "jpg m4v avif", "heic HIF heif pdf ai"),
        (limits("[]"), "", "jpg wav docx"),
    ];
    for (limits, refused, open) in table {
        let types =
            |all: &str| all.split_whitespace().map(|it| limits.refused_by_extension(it)).collect::<Vec<_>>();
        assert!(types(refused).iter().all(Option::is_some), "{refused}: {:?}", types(refused));
        assert!(types(open).iter().all(Option::is_none), "{open}: {:?}", types(open));
    }
}

/// What a service receives of the request that submits a file of this many bytes, with a permission that passes
/// this many checks.
async fn received_of(bytes: usize, checks: u32) -> Vec<u8> {
    let service = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", service.local_addr().unwrap()).parse().unwrap();
    let received = tasks::brief(async move {
        let (mut stream, _) = service.accept().await.unwrap();
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received).await;
        received
    });
    let folder = tempfile::tempdir().unwrap();
    let content = futures::stream::iter([Ok::<_, std::convert::Infallible>(vec![b'\0'; bytes].into())]);
    let spool = Spool::open(folder.path(), 2 << 20).unwrap();
    let file = spool.receive(content, Length::Announced(bytes as u64), None).await.unwrap();
    let (asset, directory) = ("A".parse().unwrap(), "acme".parse().unwrap());
    let name = FileName::of(Known { own: Some("a.png"), ..Known::default() }).unwrap();
    let (media_type, original) = ("image/png", file.sha256());
    let submit = Submit { file_name: &name, media_type, asset: &asset, original, directory: &directory };
    let left = AtomicU32::new(checks);
    let permission = Permission::new(move || {
        let is_left = left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        is_left.map(drop).map_err(|_| QueueError::Unavailable("the lease was lost".to_owned()))
    });
    let imatag = client(Some(url), Credential::ApiKey(secrecy::SecretString::from("k3y"))).under(permission);
    let error = imatag.submit(&file, submit, imatag.upload_slot().await).await.unwrap_err();
    assert!(error.may_have_been_sent(), "{error:?}");
    drop(imatag);
    received.await.unwrap()
}

#[tokio::test]
async fn the_rest_of_a_request_is_not_sent_once_the_right_is_lost() {
    // One check before the request, one for each piece of the file, and one for what follows the file.
    for (bytes, checks, most) in [(1 << 20, 3, 1 << 18), (1, 2, 1)] {
        let received = received_of(bytes, checks).await;
        let sent = received.split(|byte| *byte == b'\0').count() - 1;
        assert!(sent <= most, "{sent} bytes of the file were sent");
        assert!(!received.ends_with(b"--\r\n"), "the request is complete");
    }
}

#[tokio::test]
async fn a_file_is_not_submitted_where_the_right_is_lost_while_a_token_is_fetched() {
    let tokens = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let token_url = format!("http://{}/", tokens.local_addr().unwrap()).parse().unwrap();
    let has_right = Arc::new(AtomicBool::new(true));
    let lost = Arc::clone(&has_right);
    tasks::brief(async move {
        let (mut stream, _) = tokens.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        lost.store(false, Ordering::Relaxed);
        let body = r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
        let answer = format!("{head}: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let (client_id, client_secret) = ("c".to_owned(), secrecy::SecretString::from("s"));
    let credential = Credential::OAuth { client_id, client_secret, token_url: Some(token_url) };
    // Nothing listens at the address, so a request that is sent ends as unavailable.
    let imatag = client(Some("http://127.0.0.1:9/".parse().unwrap()), credential);
    let folder = tempfile::tempdir().unwrap();
    let file = spooled(folder.path()).await;
    let (asset, directory) = ("A".parse().unwrap(), "acme".parse().unwrap());
    let (media_type, original) = ("image/png", file.sha256());
    let name = FileName::of(Known { own: Some("a.png"), ..Known::default() }).unwrap();
    let submit = || Submit { file_name: &name, media_type, asset: &asset, original, directory: &directory };
    let error = async |imatag: &Imatag| {
        let slot = imatag.upload_slot().await;
        imatag.submit(&file, submit(), slot).await.unwrap_err()
    };
    let guarded = imatag.under(Permission::new(move || {
        let has_right = has_right.load(Ordering::Relaxed);
        has_right.then_some(()).ok_or_else(|| QueueError::Unavailable("the lease was lost".to_owned()))
    }));
    let withheld = error(&guarded).await;
    assert!(
        matches!(withheld, ImatagError::Withheld { .. }) && !withheld.may_have_been_sent(),
        "{withheld:?}"
    );
    let sent = error(&imatag).await;
    assert!(matches!(sent, ImatagError::Unavailable { .. }), "{sent:?}");
}

/// Sends the scripted responses in order; returns the heads of the requests.
async fn scripted(answers: Vec<(u16, String)>) -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    tasks::brief(async move {
        for (status, answer) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            noted.lock().unwrap().push(String::from_utf8(head).unwrap().to_lowercase());
            let answer = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{answer}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url, seen)
}

fn answer_of(kind: &str, body: &str) -> (u16, String) {
    (200, format!("content-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

fn redirect_to(place: &str) -> (u16, String) {
    (302, format!("location: {place}\r\ncontent-length: 0\r\n\r\n"))
}

fn medium() -> ResultLocation {
    ResultLocation::Medium(MediumId::try_from("m1".to_owned()).unwrap())
}

#[tokio::test]
async fn a_redirect_takes_the_credential_to_no_other_place_and_has_an_end() {
    let key = || Credential::ApiKey(secrecy::SecretString::from("k3y"));
    let (storage, at_storage) = scripted(vec![answer_of("image/png", "file")]).await;
    let (service, at_service) = scripted(vec![redirect_to(&format!("{storage}f"))]).await;
    let body = client(Some(service), key()).download(medium()).await.unwrap();
    assert_eq!(body.stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"file");
    assert!(at_service.lock().unwrap()[0].contains("k3y"));
    let asked = at_storage.lock().unwrap()[0].clone();
    assert!(asked.starts_with("get /f ") && !asked.contains("k3y"), "{asked}");

    let (service, at_service) = scripted(vec![redirect_to("/again"); 6]).await;
    let endless = client(Some(service), key()).download(medium()).await.unwrap_err();
    assert!(endless.to_string().contains("redirected without end"), "{endless}");
    let heads = at_service.lock().unwrap();
    let signed: Vec<_> = heads.iter().map(|head| head.contains("k3y")).collect();
    assert_eq!(signed, [true, false, false, false, false], "the profile's own path alone");
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let token = |word: &str| answer_of("application/json", &format!(r#"{{"access_token":"{word}"}}"#));
    let refused = || (401, "content-length: 0\r\n\r\n".to_owned());
    let state = answer_of("application/json", r#"{"id":"m1","status":"processing"}"#);
    let answers = vec![token("one"), refused(), token("two"), state, refused(), token("three"), refused()];
    let (service, seen) = scripted(answers).await;
    let client_secret = secrecy::SecretString::from("s");
    let token_url = Some(service.join("token").unwrap());
    let credential = Credential::OAuth { client_id: "c".to_owned(), client_secret, token_url };
    let imatag = client(Some(service), credential);
    let medium = MediumId::try_from("m1".to_owned()).unwrap();
    imatag.status(&medium).await.unwrap();
    let refused = imatag.status(&medium).await.unwrap_err();
    assert!(matches!(refused, ImatagError::Unauthorized { .. }), "{refused:?}");
    let seen = seen.lock().unwrap();
    let word = |head: &String| {
        ["one", "two", "three"].into_iter().find(|word| head.contains(&format!("bearer {word}")))
    };
    let signed: Vec<_> = seen.iter().map(word).collect();
    assert_eq!(signed, [None, Some("one"), None, Some("two"), Some("two"), None, Some("three")]);
}
