//! Searching for media, with the quirks that such services have.

use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::answer::{shown, status_word};
use crate::call::{Call, answer};
use crate::endpoint::Wire;
use crate::options::NextLink;
use crate::world::{Medium, SandboxState};

pub(super) fn find(shared: &SandboxState, wire: Wire, call: &Call) -> Response {
    let world = shared.world();
    let habits = &shared.options.search;
    let query = |name: &str| call.query.get(name).cloned().unwrap_or_default();
    let (directory, wanted) = match wire {
        Wire::Bytes => (query("folder"), query("value")),
        Wire::Assumed | Wire::Link => (query("directory"), query("metadata__bynder_media_id")),
    };
    let mut hits: Vec<&Medium> = world
        .media
        .values()
        .filter(|medium| medium.directory == directory)
        .filter(|medium| habits.ignores_filters || medium.metadata.get("bynder_media_id") == Some(&wanted))
        .filter(|medium| !shared.options.shown_when_done || medium.is_ready())
        .collect();
    hits.sort_by_key(|medium| medium.number);
    let asked = call.query.get("page_size").and_then(|size| size.parse().ok()).unwrap_or(usize::MAX);
    let size = habits.page_size.unwrap_or(usize::MAX).min(asked).max(1);
    let page: usize = query("page").parse().unwrap_or(1);
    let next = (habits.next == NextLink::Endless || page.saturating_mul(size) < hits.len())
        .then(|| link(shared, call, page + 1));
    let media = hits.iter().skip((page - 1).saturating_mul(size)).take(size);
    match wire {
        Wire::Bytes => {
            let items = media.map(|medium| {
                json!({"ref": medium.id, "state": status_word(wire, medium), "meta": medium.metadata})
            });
            answer(200, &json!({"items": items.collect::<Vec<_>>(), "next": next}))
        }
        Wire::Assumed | Wire::Link => {
            let results: Vec<Value> = media.map(|medium| shown(wire, medium)).collect();
            answer(200, &json!({"count": hits.len(), "next": next, "previous": null, "results": results}))
        }
    }
}

/// The link to the next page, as an absolute URL.
fn link(shared: &SandboxState, call: &Call, page: usize) -> String {
    let host = call.header("host").unwrap_or_default();
    let origin = match shared.options.search.next {
        NextLink::AsAsked | NextLink::Endless => format!("http://{host}"),
        NextLink::OtherScheme => format!("https://{host}"),
        NextLink::OtherHost => "http://elsewhere.example".to_owned(),
    };
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let kept = call.query.iter().filter(|(name, _)| *name != "page");
    let mut query: Vec<_> = kept.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    query.push(format!("page={page}"));
    format!("{origin}/{}/?{}", call.path.join("/"), query.join("&"))
}
