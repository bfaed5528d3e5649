//! The sandbox's own API: statistics, audit, faults, changes by a person, and the page.

use std::net::Ipv4Addr;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::call::{Call, answer, text};
use crate::faults::{Faults, Saboteur};
use crate::person::{self, NoSuchThing};
use crate::stats::stats;
use crate::world::SandboxState;
use crate::{audit, page};

pub(crate) async fn handle(shared: &SandboxState, call: Call) -> Response {
    let method = call.request.method().as_str().to_owned();
    let path = call.path.clone();
    // A link of another site may lead to the page, which does nothing by itself.
    let site = call.header("sec-fetch-site").filter(|_| method != "GET" || !path.is_empty());
    if is_foreign(call.header("host"), call.header("origin"), site) {
        return text(403, "only pages of the sandbox's own may call this");
    }
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match (method.as_str(), path.as_slice()) {
        ("GET", []) => page::page(),
        ("GET", ["healthz"]) => answer(200, &json!({"status": "ok"})),
        ("GET", ["sandbox", "stats"]) => answer(200, &json!(stats(&shared.world()))),
        ("GET", ["sandbox", "audit"]) => answer(200, &json!(audit::audit(&mut shared.world()))),
        ("GET", ["sandbox", "thumbnail", id, version]) => {
            page::thumbnail(shared, id, version.parse().unwrap_or_default()).await
        }
        ("POST", ["sandbox", "faults"]) => match read::<Faults>(call).await {
            Ok(faults) => {
                shared.world().saboteur = Saboteur::new(faults);
                answer(200, &json!({"status": "ok"}))
            }
            Err(refusal) => refusal,
        },
        ("POST", ["sandbox", "assets"]) => match read(call).await {
            Ok(new) => match person::add(shared, &new) {
                Ok(id) => answer(200, &json!({"id": id})),
                Err(error) => answer(500, &json!({"error": error.to_string()})),
            },
            Err(refusal) => refusal,
        },
        ("POST", ["sandbox", "assets", id, "edit"]) => match read(call).await {
            Ok(edit) => done(person::edit(shared, id, edit).map(|()| json!({}))),
            Err(refusal) => refusal,
        },
        ("POST", ["sandbox", "assets", id, "version"]) => match read(call).await {
            Ok(version) => match person::version(shared, id, &version) {
                Ok(made) => done(made.map(|number| json!({"version": number}))),
                Err(error) => answer(500, &json!({"error": error.to_string()})),
            },
            Err(refusal) => refusal,
        },
        ("POST", ["sandbox", "assets", id, "approve"]) => {
            done(person::approve(shared, id).map(|()| json!({})))
        }
        ("POST", ["sandbox", "assets", id, "delete"]) => done(person::delete(shared, id).map(|()| json!({}))),
        _ => (axum::http::StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/plain")], "no such page")
            .into_response(),
    }
}

/// Whether a page of another site makes the call, in the browser of a person who runs a sandbox. A host name with a dot is
/// refused too, because its owner may have pointed it to this machine (DNS rebinding).
fn is_foreign(host: Option<&str>, origin: Option<&str>, site: Option<&str>) -> bool {
    // A browser says "none" if a person typed the address.
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let Some(host) = host else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_own = !name.contains('.') || name.parse::<Ipv4Addr>().is_ok();
    let is_same = origin.is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
    !(is_own && is_same)
}

/// Reads a JSON body; an empty one counts as an empty object.
async fn read<T: DeserializeOwned>(call: Call) -> Result<T, Response> {
    let body = axum::body::to_bytes(call.request.into_body(), 1 << 20).await.unwrap_or_default();
    let body = if body.is_empty() { b"{}".as_slice().into() } else { body };
    serde_json::from_slice(&body).map_err(|error| answer(400, &json!({"error": error.to_string()})))
}

fn done(result: Result<serde_json::Value, NoSuchThing>) -> Response {
    match result {
        Ok(body) => answer(200, &body),
        Err(NoSuchThing) => answer(404, &json!({"error": "no such asset or version"})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites_and_names_that_were_pointed_here_are_refused() {
        let table = [
            (None, None, None, false),
            (Some("127.0.0.1:8080"), None, None, false),
            (Some("[::1]:8080"), None, None, false),
            (Some("sandbox:8080"), None, None, false),
            (Some("localhost:8080"), Some("http://localhost:8080"), None, false),
            (Some("localhost:8080"), Some("http://localhost:8080"), Some("same-origin"), false),
            (Some("localhost:8080"), None, Some("none"), false),
            (Some("localhost:8080"), Some("http://localhost:3000"), None, true),
            (Some("127.0.0.1:8080"), Some("https://evil.example"), None, true),
            (Some("127.0.0.1:8080"), Some("null"), None, true),
            (Some("127.0.0.1:8080"), None, Some("cross-site"), true),
            (Some("127.0.0.1:8080"), None, Some("same-site"), true),
            (Some("evil.example:8080"), Some("http://evil.example:8080"), None, true),
            (Some("evil.example:8080"), None, None, true),
        ];
        for (host, origin, site, foreign) in table {
            assert_eq!(is_foreign(host, origin, site), foreign, "{host:?} {origin:?} {site:?}");
        }
    }
}
