//! What a request held that no text of its answer may show: gateways quote the header, or the address, that they refuse.

use reqwest::header::AUTHORIZATION;
use reqwest::{Request, Response};
use url::form_urlencoded::parse;

/// A shorter value is no signature, and may be any word.
const SHORTEST_SIGNATURE: usize = 16;

/// The secrets of a request, kept with its answer.
#[derive(Clone, Default)]
pub(super) struct Unsaid(Vec<String>);

impl Unsaid {
    /// The credential, the secret of a form, and for what is not signed by a credential the signature in its address.
    pub(super) fn of(request: &Request) -> Self {
        let header = request.headers().get(AUTHORIZATION);
        let mut secrets: Vec<_> = header
            .and_then(|header| header.to_str().ok()?.split(' ').next_back())
            .map(str::to_owned)
            .into_iter()
            .collect();
        if secrets.is_empty() {
            let query = request.url().query().unwrap_or_default();
            let raw = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1.to_owned()));
            let values = raw.chain(parse(query.as_bytes()).map(|(_, value)| value.into_owned()));
            secrets.extend(values.filter(|value| value.len() >= SHORTEST_SIGNATURE));
        }
        let form = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        secrets.extend(
            parse(form).filter(|(key, _)| key == "client_secret").map(|(_, value)| value.into_owned()),
        );
        secrets.retain(|secret| !secret.is_empty());
        Self(secrets)
    }

    pub(super) fn keep_with(self, response: &mut Response) {
        response.extensions_mut().insert(self);
    }

    /// What was kept with the answer.
    pub(super) fn in_answer(response: &Response) -> Self {
        response.extensions().get().cloned().unwrap_or_default()
    }

    /// A text of the answer without them.
    pub(super) fn left_out(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}
