//! The rules in front of routes, asked as a browser and a program ask.

use axum::http::StatusCode;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use axum::routing::{get, post};
use axum::{Extension, Form};
use config::{PageToken, SecretValue};
use serde::Deserialize;

use super::*;
use crate::asking::{ANN, BEN, ask, session};

#[derive(Deserialize)]
struct Given {
    word: String,
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

/// Signs in and out as the pages do, reads, and acts in both ways.
fn page(listen: &str, public_url: Option<&str>, tokens: &[(&str, &str)]) -> Router {
    let tokens = tokens.iter().map(|(name, token)| PageToken {
        name: (*name).to_owned(),
        token: SecretValue::Plain((*token).into()),
    });
    let access = Access::new(&PageSection {
        listen: Some(listen.parse().unwrap()),
        public_url: public_url.map(|url| url.parse().unwrap()),
        tokens: tokens.collect(),
    })
    .unwrap();
    let (entered, left) = (access.clone(), access.clone());
    let enter = async move |headers: HeaderMap, Form(Token { token }): Form<Token>| {
        let peer = Ipv4Addr::new(10, 0, 0, 1).into();
        let cookie = entered
            .sign_in(&token, &headers, peer)
            .map_err(|why| (StatusCode::FORBIDDEN, format!("{why:?}")))?;
        Ok::<_, (StatusCode, String)>([(SET_COOKIE, cookie)])
    };
    let leave = async move |headers: HeaderMap| [(SET_COOKIE, left.sign_out(&headers))];
    let read = async |Extension(viewer): Extension<Viewer>, Extension(visitor): Extension<Visitor>| {
        format!("{} {}", viewer.name.unwrap_or_default(), visitor.csrf().is_some())
    };
    let act = async |signed: Signed<Given>| format!("{} {}", signed.by, signed.form.word);
    let act_by_token = async |holder: Holder| holder.0.to_string();
    let form = async |Extension(visitor): Extension<Visitor>| {
        format!("<input name=\"csrf\" value=\"{}\">", visitor.csrf().unwrap_or_default())
    };
    let routes = Router::new()
        .route("/", get(read))
        .route("/pause", get(form))
        .route("/act", post(act))
        .route("/api/v1/act", post(act_by_token))
        .route(SIGN_IN, get(async || "the form").post(enter))
        .route(SIGN_OUT, post(leave))
        .route(STYLE, get(async || "style"));
    access.guard(routes)
}

fn here() -> Router {
    page("127.0.0.1:8088", None, &[("ann", ANN), ("ben", BEN)])
}

#[tokio::test]
async fn a_person_signs_in_acts_by_a_form_of_the_session_and_signs_out() {
    let page = here();
    assert_eq!(ask(&page, "GET", "/", &[], "").await.text, " false", "reading needs nothing here");
    let (cookie, csrf) = session(&page, ANN).await;
    assert!(ask(&page, "GET", "/", &[(COOKIE, &cookie)], "").await.text.starts_with("ann "));
    let form = format!("word=a%20lake&csrf={csrf}");
    let done = ask(&page, "POST", "/act", &[(COOKIE, &cookie)], &form).await;
    assert_eq!((done.status, done.text.as_str()), (StatusCode::OK, "ann a lake"));
    let left = ask(&page, "POST", SIGN_OUT, &[(COOKIE, &cookie)], "").await;
    assert!(left.headers[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    let again = ask(&page, "POST", "/act", &[(COOKIE, &cookie)], &form).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "the old cookie");
    assert_eq!(ask(&page, "GET", "/", &[(COOKIE, &cookie)], "").await.text, " false");
}

#[tokio::test]
async fn an_act_without_a_session_of_its_own_page_is_refused() {
    let page = here();
    let (cookie, csrf) = session(&page, ANN).await;
    let (_, of_ben) = session(&page, BEN).await;
    let good = format!("word=a&csrf={csrf}");
    let site = FETCH_SITE;
    for (headers, body, expected) in [
        (vec![], good.clone(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, "connector8088=00")], good.clone(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie)], "word=a".to_owned(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie)], "word=a&csrf=".to_owned(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie)], format!("word=a&csrf={of_ben}"), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie), (ORIGIN, "http://evil.example")], good.clone(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie), (ORIGIN, "http://localhost:3000")], good.clone(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie), (ORIGIN, "null")], good.clone(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie), (ORIGIN, "")], good.clone(), StatusCode::FORBIDDEN),
        (vec![(COOKIE, &*cookie), (site, "same-site")], good.clone(), StatusCode::FORBIDDEN),
        (
            vec![(COOKIE, &*cookie), (HOST, "evil.example:8088")],
            good.clone(),
            StatusCode::MISDIRECTED_REQUEST,
        ),
        (vec![(COOKIE, &*cookie), (HOST, "")], good.clone(), StatusCode::MISDIRECTED_REQUEST),
        (vec![(COOKIE, &*cookie)], good.clone(), StatusCode::OK),
    ] {
        let answer = ask(&page, "POST", "/act", &headers, &body).await;
        assert_eq!(answer.status, expected, "{headers:?} {body}: {}", answer.text);
    }
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        let answer = ask(&page, method, "/act", &[(COOKIE, &cookie)], &good).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
}

#[tokio::test]
async fn a_program_acts_by_its_token_alone() {
    let page = here();
    let (cookie, csrf) = session(&page, ANN).await;
    let bearer = format!("bearer {BEN}");
    let program = [(AUTHORIZATION, &*bearer), (ORIGIN, "")];
    assert_eq!(ask(&page, "POST", "/api/v1/act", &program, "").await.text, "ben");
    let refused = [
        ask(&page, "POST", "/api/v1/act", &[(COOKIE, &cookie)], &format!("csrf={csrf}")).await,
        ask(&page, "POST", "/api/v1/act", &[(AUTHORIZATION, "Bearer wrong"), (ORIGIN, "")], "").await,
    ];
    for answer in refused {
        assert_eq!(
            (answer.status, &answer.headers[WWW_AUTHENTICATE]),
            (StatusCode::UNAUTHORIZED, &HeaderValue::from_static("Bearer"))
        );
    }
    let forged = [(AUTHORIZATION, &*bearer), (ORIGIN, "http://evil.example")];
    assert_eq!(ask(&page, "POST", "/api/v1/act", &forged, "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(
        ask(&page, "POST", "/act", &program, "word=a").await.status,
        StatusCode::FORBIDDEN,
        "no form of a session"
    );
    let basic = [(AUTHORIZATION, "Basic of-a-proxy"), (COOKIE, &*cookie)];
    assert!(ask(&page, "GET", "/", &basic, "").await.text.starts_with("ann "));
}

#[tokio::test]
async fn where_others_reach_the_listener_reading_needs_a_session_over_tls() {
    let page = page("0.0.0.0:8088", Some("https://connector.example"), &[("ann", ANN)]);
    let public = (HOST, "connector.example");
    let asked = ask(&page, "GET", "/?a=b", std::slice::from_ref(&public), "").await;
    assert_eq!(
        (asked.status, &asked.headers[LOCATION]),
        (StatusCode::SEE_OTHER, &HeaderValue::from_static("/login?next=%2F%3Fa%3Db"))
    );
    let from_elsewhere = ask(&page, "GET", "/", &[public.clone(), (FETCH_SITE, "cross-site")], "").await;
    assert!(
        from_elsewhere.status == 200 && from_elsewhere.text.contains("refresh"),
        "{}",
        from_elsewhere.text
    );
    for door in [SIGN_IN, STYLE] {
        assert_eq!(ask(&page, "GET", door, std::slice::from_ref(&public), "").await.status, StatusCode::OK);
    }
    assert_eq!(
        ask(&page, "GET", "/api/v1/x", std::slice::from_ref(&public), "").await.status,
        StatusCode::UNAUTHORIZED
    );
    let token = format!("token={ANN}");
    let own = (ORIGIN, "https://connector.example");
    let entered = ask(&page, "POST", SIGN_IN, &[public.clone(), own.clone()], &token).await;
    let cookie = entered.headers[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-connector=") && cookie.ends_with("; Secure"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert!(ask(&page, "GET", "/", &[public, (COOKIE, cookie)], "").await.text.starts_with("ann "));
    // Plain text over the network.
    let address = [(HOST, "10.0.0.5:8088"), (ORIGIN, "http://10.0.0.5:8088")];
    let refused = ask(&page, "POST", SIGN_IN, &address, &token).await;
    assert_eq!((refused.status, refused.text.as_str()), (StatusCode::FORBIDDEN, "NotPrivate"));
}

#[tokio::test]
async fn after_a_few_wrong_tokens_from_an_address_only_a_right_one_gets_in() {
    let page = here();
    let mut said = Vec::new();
    for _ in 0..7 {
        said.push(ask(&page, "POST", SIGN_IN, &[], "token=wrong").await.text);
    }
    assert!(said[..5].iter().all(|said| said == "WrongToken"), "{said:?}");
    assert!(said[5..].iter().all(|said| said.starts_with("Wait(")), "{said:?}");
    let (cookie, _) = session(&page, ANN).await;
    assert!(ask(&page, "GET", "/", &[(COOKIE, &cookie)], "").await.text.starts_with("ann "));
    let by_program = async |token: &str| {
        ask(&page, "GET", "/", &[(AUTHORIZATION, &format!("Bearer {token}"))], "").await.status
    };
    for _ in 0..5 {
        assert_eq!(by_program("wrong").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(
        [by_program("wrong").await, by_program(BEN).await],
        [StatusCode::TOO_MANY_REQUESTS, StatusCode::OK]
    );
}

#[tokio::test]
async fn without_tokens_nobody_acts() {
    let page = page("127.0.0.1:8088", None, &[]);
    assert_eq!(ask(&page, "GET", "/", &[], "").await.status, StatusCode::OK);
    for (path, body) in [(SIGN_IN, "token="), ("/act", "word=a")] {
        let refused = ask(&page, "POST", path, &[], body).await;
        assert!(refused.status == 403 && refused.text.contains("[[page.tokens]]"), "{}", refused.text);
    }
}

#[tokio::test]
async fn a_page_on_another_port_of_this_machine_has_cookies_of_its_own() {
    let [one, other] =
        ["localhost:8088", "localhost:8089"].map(|host| cookie::Name::new(host, false).made("a"));
    assert_ne!(one, other);
}
