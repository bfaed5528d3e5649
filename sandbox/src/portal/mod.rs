//! The fake Bynder portal.

mod archive;
mod list;
mod lookups;
mod media;
mod save;
mod upload;

pub use archive::archived_id;
pub(crate) use list::is_listed;
pub(crate) use lookups::{BRAND, SECOND_BRAND};
pub(crate) use save::add_version;

use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;

use crate::call::{Call, answer, refuse, text};
use crate::endpoint::Endpoint;
use crate::world::SandboxState;

pub(crate) async fn handle(shared: &SandboxState, endpoint: Endpoint, call: Call) -> Response {
    if endpoint == Endpoint::Token {
        return token(shared, call).await;
    }
    if !is_signed(shared, &call) {
        return text(401, "Invalid or expired token.\n");
    }
    match endpoint {
        Endpoint::List => list::list(shared, &call),
        Endpoint::Asset => media::get(shared, &call),
        Endpoint::Modify => media::modify(shared, call).await,
        Endpoint::Delete => media::delete(shared, &call),
        Endpoint::Download => media::download(shared, &call),
        Endpoint::UploadAddress => upload::endpoint(&call),
        Endpoint::UploadInit => upload::init(shared, call).await,
        Endpoint::UploadStep => upload::step(shared, call).await,
        Endpoint::Poll => upload::poll(shared, &call),
        Endpoint::SaveNew => save::new_asset(shared, call).await,
        Endpoint::SaveVersion => save::new_version(shared, call).await,
        Endpoint::SaveAdditional => save::additional(shared, call).await,
        Endpoint::Metaproperties => lookups::metaproperties(shared),
        Endpoint::Brands => lookups::brands(),
        Endpoint::Account => lookups::account(),
        Endpoint::User => lookups::user(),
        Endpoint::Profile => lookups::profile(shared),
        Endpoint::Collections => lookups::collections(),
        Endpoint::Tags => lookups::tags(shared, &call),
        _ => refuse(404, "Not found"),
    }
}

fn is_signed(shared: &SandboxState, call: &Call) -> bool {
    let Some((scheme, token)) = call.header("authorization").and_then(|header| header.split_once(' ')) else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer")
        && (token == shared.credentials.token || shared.world().issued_tokens.contains(token))
}

async fn token(shared: &SandboxState, call: Call) -> Response {
    let form = call.form().await;
    let is = |name: &str, wanted: &str| form.get(name).is_some_and(|value| value == wanted);
    if !is("grant_type", "client_credentials") {
        return answer(400, &json!({"error": "unsupported_grant_type"}));
    }
    let credentials = &shared.credentials;
    if !is("client_id", &credentials.client_id) || !is("client_secret", &credentials.client_secret) {
        return answer(401, &json!({"error": "invalid_client", "error_description": "unknown client"}));
    }
    let mut world = shared.world();
    let token = world.secret();
    world.issued_tokens.insert(token.clone());
    let scope = "asset:read asset:write meta.assetbank:read";
    answer(200, &json!({"access_token": token, "expires_in": 3600, "scope": scope, "token_type": "bearer"}))
}

/// The bound of a date filter, written exactly as `YYYY-MM-DDTHH:MM:SSZ`; the portal ignores other forms.
fn bound(text: &str) -> Option<Timestamp> {
    (text.len() == 20 && text.ends_with('Z')).then(|| text.parse().ok())?
}
