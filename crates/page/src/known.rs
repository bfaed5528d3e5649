//! Which parameters an address knows. A mistyped filter would be none, and show everything.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded::parse;

use crate::access::SIGN_IN;
use crate::problem::Problem;

/// The parameters of the addresses that have some; the others have none.
const KNOWN: [(&str, &[&str]); 9] = [
    ("/failed", &["class", "name", "asset", "job", "after", "before"]),
    ("/api/v1/failed", &["class", "name", "asset", "job", "after", "before", "limit"]),
    ("/failed.csv", &["class", "name", "asset", "job"]),
    ("/failed/retry", &["class", "name", "asset", "job"]),
    ("/failed/drop", &["class", "name", "asset", "job"]),
    ("/assets", &["id"]),
    ("/acts", &["before"]),
    ("/api/v1/acts", &["before"]),
    (SIGN_IN, &["next"]),
];

/// Refuses a request with a parameter that its address does not know.
pub(crate) async fn parameters(request: Request, next: Next) -> Response {
    let uri = request.uri();
    match uri.query().and_then(|query| unknown(uri.path(), query)) {
        Some(problem) => problem.at(uri).into_response(),
        None => next.run(request).await,
    }
}

fn unknown(path: &str, query: &str) -> Option<Problem> {
    let known = KNOWN.iter().find(|(known, _)| *known == path).map_or(&[][..], |(_, names)| names);
    let (name, _) = parse(query.as_bytes()).find(|(name, _)| !known.contains(&&**name))?;
    let names = if known.is_empty() { "no parameters".to_owned() } else { known.join(", ") };
    Some(Problem::bad_query(format!("{name:?} is no parameter of this address, which has {names}.")))
}
