use std::time::Duration;

use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers the first connection with exactly these bytes, then closes it.
async fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks::brief(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = connection.read(&mut request).await.unwrap();
        connection.write_all(answer).await.unwrap();
    });
    format!("http://{address}/secret-path?signature=abc")
}

fn transport_to(urls: &[&str], allow_http: bool, timeout: Duration) -> Transport {
    let urls = urls.iter().map(|url| url.parse().unwrap()).collect();
    Transport::new(
        &Services { urls, token_url: None, allow_http, link_hosts: LinkHosts::Any },
        timeout,
        Arc::new(()),
    )
    .unwrap()
}

fn transport(timeout: Duration) -> Transport {
    transport_to(&["http://127.0.0.1"], false, timeout)
}

async fn send(url: &str) -> Result<reqwest::Response, TransportError> {
    let transport = transport(Duration::from_secs(5));
    transport.send(Operation::Asset, transport.client().get(url)).await
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(send(&format!("http://{address}/")).await.unwrap_err().sent, Sent::No);
}

#[tokio::test]
async fn nothing_is_sent_in_plain_text_unless_it_is_allowed_or_a_service_is_on_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = format!("http://{}", listener.local_addr().unwrap());
    let (away, elsewhere) = ("https://portal.example", "http://elsewhere.invalid/");
    for (service, allow_http, url, goes) in [
        (away, false, here.as_str(), false),
        (away, false, elsewhere, false),
        ("https://localhost", false, here.as_str(), false),
        (here.as_str(), false, here.as_str(), true),
        (here.as_str(), false, elsewhere, false),
        (away, true, here.as_str(), true),
        (away, true, elsewhere, true),
    ] {
        let transport = transport_to(&[service], allow_http, Duration::from_millis(200));
        let error = transport.send(Operation::Asset, transport.client().get(url)).await.unwrap_err();
        let refused = error.reason.contains("is not https");
        assert_eq!(!refused, goes, "{url} from {service}, {allow_http}: {error}");
        assert!(goes || error.sent == Sent::No, "{url}");
    }
}

#[tokio::test]
async fn nothing_signed_goes_to_another_origin_than_a_services() {
    let transport = transport_to(&["https://portal.example"], false, Duration::from_millis(200));
    let signed = transport.client().get("https://storage.invalid/").bearer_auth("t0ken");
    let with_user = transport.client().get("https://user:word@storage.invalid/");
    for request in [signed, with_user] {
        let error = transport.send(Operation::Asset, request).await.unwrap_err();
        assert!(error.sent == Sent::No && error.reason.contains("user or a password"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_may_have_been_sent() {
    let error = send(&server(b"").await).await.unwrap_err();
    assert_eq!(error.sent, Sent::Maybe);
    assert!(!error.reason.contains("signature"), "{error}");
}

#[tokio::test]
async fn silence_ends_at_the_timeout_and_may_have_been_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let transport = transport(Duration::from_millis(50));
    let error = transport.send(Operation::Asset, transport.client().get(url)).await.unwrap_err();
    assert_eq!(error.sent, Sent::Maybe);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let url =
        server(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(send(&url).await.unwrap().status(), 302);
}

#[tokio::test]
async fn success_with_a_web_page_is_not_json() {
    let url =
        server(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 8\r\n\r\n<HTML>\n!").await;
    let error =
        read_json::<serde_json::Value>(Operation::Status, send(&url).await.unwrap()).await.unwrap_err();
    assert!(matches!(error, AnswerError::NotJson { excerpt, .. } if excerpt == "<HTML> !"));
    // A page under a wrong content type, or XML, may be the real response, and secret.
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\n\r\ns3cr3t"[..],
        b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 13\r\n\r\n<p>s3cr3t</p>",
    ] {
        let answer = send(&server(answer).await).await.unwrap();
        let error = read_json::<serde_json::Value>(Operation::Status, answer).await.unwrap_err();
        assert!(error.to_string().ends_with("no web page"), "{error}");
    }
}

#[tokio::test]
async fn what_comes_instead_of_a_token_is_not_shown() {
    for kind in [Operation::SignIn, Operation::ImatagSignIn] {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 14\r\n\r\n<t>s3cr3t!</t>";
        let error = read_json::<serde_json::Value>(kind, send(&server(answer).await).await.unwrap()).await;
        let Err(AnswerError::NotJson { excerpt, .. }) = error else { panic!("{error:?}") };
        assert_eq!(excerpt, "no web page", "{kind:?}");
    }
}

#[tokio::test]
async fn a_token_of_the_same_issuer_is_no_repetition() {
    let jwt =
        |signature: &str| format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJhY21lIn0.{signature}");
    let ours = jwt("SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJVadQssw5c");
    for (theirs, is_taken) in
        [(jwt("7Yq1Zx0b9cD8eF7gH6iJ5kL4mN3oP2qR1sT0uV9wX8"), true), (ours.clone(), false)]
    {
        let url = server(answer_of("200 OK", &format!(r#"["{theirs}"]"#))).await;
        let read = read_json::<serde_json::Value>(Operation::Asset, signed(&url, &ours).await).await;
        assert_eq!(read.is_ok(), is_taken, "{theirs}");
    }
}

#[tokio::test]
async fn what_an_answer_repeats_of_a_credential_or_a_signature_is_left_out() {
    // The wording of AWS's gateway.
    let (answer, said) = (
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 98\r\n\r\n{\"message\":\"not a valid pair: 'Bearer s3cr3t-token', s3cr3t-s1gnature, s3cr3t/s1gnature, s3cr3t \"}",
        "{\"message\":\"not a valid pair: 'Bearer ",
    );
    let link = async || {
        let link = server(answer).await;
        link.replace("signature=abc", "a=s3cr3t-s1gnature&b=s3cr3t%2Fs1gnature")
    };
    let client = crate::plain_client();
    let (signed, signing_in, linked, basic) = (link().await, link().await, link().await, link().await);
    let form = [("client_secret", "s3cr3t-token")];
    for (url, request, secrets) in [
        (&basic, client.get(&basic).basic_auth("me", Some("s3cr3t-token")), &["s3cr3t-token"][..]),
        (&signed, client.get(&signed).bearer_auth("s3cr3t-token"), &["s3cr3t-token"]),
        (&signing_in, client.post(&signing_in).form(&form), &["s3cr3t-token", "s3cr3t-s1gnature"]),
        (&linked, client.get(&linked), &["s3cr3t-s1gnature", "s3cr3t/s1gnature"]),
    ] {
        let transport = transport_to(&[url], false, Duration::from_secs(5));
        let text = read_text(transport.send(Operation::Asset, request).await.unwrap()).await;
        assert!(text.starts_with(said), "{text}");
        for secret in secrets {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

async fn signed(url: &str, token: &str) -> reqwest::Response {
    let transport = transport_to(&[url], false, Duration::from_secs(5));
    transport.send(Operation::Asset, transport.client().get(url).bearer_auth(token)).await.unwrap()
}

/// A response whose body is JSON or text.
fn answer_of(status: &str, body: &str) -> &'static [u8] {
    let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}").leak().as_bytes()
}

#[tokio::test]
async fn what_a_cut_answer_repeats_of_a_credential_is_left_out_as_well() {
    let token = "s3cr3t-token-of-thirty-characters";
    for lost in 1..token.len() - 3 {
        let before = " ".repeat(4096 - (token.len() - lost));
        let url = server(answer_of("403 Forbidden", &format!("{before}{token}"))).await;
        assert_eq!(read_text(signed(&url, token).await).await, "…", "{lost} characters lost");
    }
}

#[tokio::test]
async fn an_answer_of_success_that_repeats_a_credential_anywhere_is_not_taken() {
    let token = "s3cr3t/token-of-thirty-characters";
    for body in [
        format!(r#"{{"id": "m-{token}"}}"#),
        format!(r#"{{"{token}": 1}}"#),
        format!(r#"["{}"]"#, token.replace('/', r"\/")),
        format!(r#"["{}"]"#, token.replace('e', r"\u0065")),
        format!(r#"["{}"]"#, token.replace('/', r"\u002F").replace('\\', r"\\")),
        format!(r#"["https://a.example/{}"]"#, token.replace('s', "%73")),
        format!(r#"["{}"]"#, &token[..30]),
    ] {
        let url = server(answer_of("200 OK", &body)).await;
        let read = read_json::<serde_json::Value>(Operation::Asset, signed(&url, token).await).await;
        assert_eq!(read, Err(AnswerError::Shape("it repeats the credential".to_owned())), "{body}");
        // Shown to other callers unchanged; so is a short password, which may be any word.
        let url = server(answer_of("200 OK", &body)).await;
        let read = read_json::<serde_json::Value>(Operation::Asset, signed(&url, "token").await).await;
        assert!(read.is_ok(), "{body}");
    }
}

#[tokio::test]
async fn what_an_answer_repeats_of_the_path_of_a_link_is_left_out() {
    let answer =
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 39\r\n\r\nCannot GET /files/s3cr3t-key-of-a-file!";
    let link = server(answer).await.replace("secret-path?signature=abc", "files/s3cr3t-key-of-a-file");
    assert_eq!(read_text(send(&link).await.unwrap()).await, "Cannot GET …");
}

#[tokio::test]
async fn a_cut_body_is_an_error() {
    let url =
        server(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"a\":1}")
            .await;
    let error =
        read_json::<serde_json::Value>(Operation::Status, send(&url).await.unwrap()).await.unwrap_err();
    assert!(matches!(error, AnswerError::Transport(TransportError { sent: Sent::Maybe, .. })));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_byte_by_byte_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tasks::brief(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = connection.read(&mut [0; 4096]).await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
        connection.write_all(head).await.unwrap();
        // The test's clock is paused and advances at once: a byte arrives before every deadline.
        while connection.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    });
    // After a file was sent, only the head has a deadline.
    let transport = transport(Duration::from_secs(5));
    let answer = transport.send_for_file(Operation::Submit, transport.client().get(url)).await.unwrap();
    let read = read_json::<u8>(Operation::Submit, answer);
    let ended = tokio::time::timeout(Duration::from_hours(1), read).await.unwrap();
    assert!(matches!(ended, Err(AnswerError::Transport(TransportError { sent: Sent::Maybe, .. }))));
}

#[tokio::test]
async fn an_answer_is_read_up_to_what_its_kind_may_hold() {
    for &kind in <Operation as strum::VariantArray>::VARIANTS {
        let length = kind.most_answer_bytes() + 1;
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        let answer = [head.into_bytes(), vec![b' '; length - 1], b"7".to_vec()].concat();
        let url = server(answer.leak()).await;
        let error = read_json::<u8>(kind, send(&url).await.unwrap()).await.unwrap_err();
        assert_eq!(error, AnswerError::TooLarge(length - 1), "{kind:?}");
    }
}

#[tokio::test]
async fn an_answer_of_many_tiny_values_is_not_decoded() {
    for kind in [Operation::Asset, Operation::Find, Operation::LookUp] {
        let most = kind.most_answer_values();
        let read = async |values: usize| {
            let body = format!("[{}0]", "0,".repeat(values - 1));
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            let url = server([head, body].concat().leak().as_bytes()).await;
            read_json::<serde::de::IgnoredAny>(kind, send(&url).await.unwrap()).await
        };
        assert!(read(most).await.is_ok(), "{kind:?}");
        let error = read(most + 1).await.unwrap_err();
        assert_eq!(error, AnswerError::Shape(format!("it has more than {most} values")), "{kind:?}");
    }
}

#[tokio::test]
async fn json_of_another_shape_names_the_place() {
    let url = server(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: 11\r\n\r\n{\"a\":[1,{}]",
    )
    .await;
    let error = read_json::<std::collections::BTreeMap<String, Vec<u32>>>(
        Operation::Status,
        send(&url).await.unwrap(),
    )
    .await;
    assert!(matches!(error, Err(AnswerError::Shape(text)) if text.starts_with("a[1]")));
}

#[tokio::test(start_paused = true)]
async fn a_moving_transfer_is_not_stalled_and_a_whole_one_has_patience() {
    let second = Duration::from_secs(1);
    let progress = BodyProgress::start();
    let pieces = stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::new())));
    let mut body = Box::pin(progress.watch(pieces));
    for _ in 0..3 {
        tokio::time::advance(second * 9).await;
        futures::StreamExt::next(&mut body).await;
    }
    assert!(futures::FutureExt::now_or_never(progress.stalled(second * 10, second * 10)).is_none());
    let before = tokio::time::Instant::now();
    assert!(futures::StreamExt::next(&mut body).await.is_none());
    progress.stalled(second * 10, second * 600).await;
    assert_eq!(before.elapsed(), second * 600);
}
