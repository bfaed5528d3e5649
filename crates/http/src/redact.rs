//! Removes a request's secrets from its response before that is shown: gateways quote the header or address that
//! they refuse.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::AUTHORIZATION;
use reqwest::{Request, Response};
use url::form_urlencoded::parse;
use url::{Position, Url};

use super::known::{configured_secrets, known_secrets};
use super::runs::{LONG_RUN, SHORTEST_RUN, SHORTEST_WHOLE, holds_run, reduced, without_codes};
use common::excerpt::{excerpt, one_line};
use common::prose::prose;

/// A shorter value is not a signature and may be any word.
const SHORTEST_SIGNATURE: usize = 16;
/// A shorter prefix of a secret may be the prefix of any word.
const SHORTEST_PIECE: usize = 4;
const SEPARATORS: [char; 8] = ['/', '?', '&', '=', ';', '~', '.', ','];
/// What the names of signature values in signed addresses contain.
const OF_SIGNATURES: [&str; 7] = ["sig", "token", "policy", "credential", "key-pair-id", "secret", "x-amz-"];
const NOT_SHOWN: &str = "(not shown: it repeats a credential)";

/// The secrets of a request, kept with its response.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
    /// How many of them, from the first, are credentials.
    credentials: usize,
}

impl Redactor {
    /// The credential, the secret in a form, the other known secrets, and, if the address is not an API call, its
    /// signature, which may be part of the path.
    pub(super) fn of(request: &Request) -> Self {
        let header = request.headers().get(AUTHORIZATION);
        // A token may contain letters outside ASCII.
        let header = header.and_then(|header| std::str::from_utf8(header.as_bytes()).ok());
        let form = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let signs_in = parse(form).any(|(key, _)| key == "grant_type");
        let of_form =
            parse(form).filter(|(key, _)| key == "client_secret").map(|(_, value)| value.into_owned());
        let found =
            Self::default().and_credentials(header.map(credentials).into_iter().flatten().chain(of_form));
        let found = found.and_known(signs_in);
        if header.is_some() && !signs_in { found } else { found.and_signatures(signatures(request.url())) }
    }

    fn and_credentials(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.secrets.splice(..0, values.into_iter().filter(|value| !value.is_empty()));
        self.credentials = self.secrets.len();
        self
    }

    /// Passwords that a peer may quote, except short ones, which may be any word.
    pub fn passwords<'a>(passwords: impl Iterator<Item = &'a str>) -> Self {
        let long = passwords.filter(|password| password.len() >= SHORTEST_WHOLE);
        Self::default().and_credentials(long.map(str::to_owned))
    }

    /// The same, with the secrets that no service may repeat. Where tokens are issued, the same one may be issued
    /// again.
    fn and_known(self, signs_in: bool) -> Self {
        let known = if signs_in { configured_secrets() } else { known_secrets() };
        self.and_more_credentials(known.secrets)
    }

    /// The same, with the credentials header for a proxy.
    pub(super) fn and_proxy(self, header: Option<&str>) -> Self {
        let long = header.into_iter().flat_map(credentials).filter(|secret| secret.len() >= SHORTEST_PIECE);
        self.and_more_credentials(long)
    }

    fn and_more_credentials(mut self, more: impl IntoIterator<Item = String>) -> Self {
        let rest = Self { secrets: self.secrets.split_off(self.credentials), credentials: 0 };
        rest.and_credentials(more.into_iter().chain(self.secrets))
    }

    /// What may be a signature in the address of a file of this name: the values that its query names as
    /// signatures, what is not prose in the other values except the name, and what is not prose in the path except
    /// a file with an extension.
    pub fn signature_of(url: &Url, name: &str) -> Self {
        let query = url.query_pairs().flat_map(|(key, value)| {
            let key = key.to_ascii_lowercase();
            let is_code = || !names_file(&key, &value, name) && prose(&value) != value;
            let is_signature = names_signature(&key) || is_code();
            // A key without a value is itself the value.
            let key = value.is_empty().then_some(key);
            key.into_iter().chain(is_signature.then(|| value.into_owned()))
        });
        let path = percent_decode_str(url.path()).decode_utf8_lossy();
        let (folders, file) = path.rsplit_once('/').unwrap_or_default();
        let (file, more) = file.split_once(';').unwrap_or((file, ""));
        let file = Some(file).filter(|file| !file.contains('.'));
        let values = folders.split(SEPARATORS).chain(more.split([';', '='])).chain(file);
        let codes = values.filter(|value| prose(value) != *value).map(str::to_owned);
        Self::default().and_signatures(query.chain(codes))
    }

    /// The signature of a link, anywhere in its path and query.
    pub(super) fn of_link(url: &Url) -> Self {
        Self::default().and_signatures(signatures(url))
    }

    /// Whether the text contains a secret or a run of one, in any layers of escapes; a short secret may be part of
    /// any word.
    pub fn is_in(&self, text: &str) -> bool {
        let long = || self.secrets.iter().filter(|secret| secret.len() >= SHORTEST_WHOLE);
        long().any(|secret| text.contains(secret.as_str())) || {
            let secrets = long().map(|secret| reduced(secret.as_bytes())).collect();
            holds_run(&reduced(text.as_bytes()), secrets, SHORTEST_RUN)
        }
    }

    /// Adds those of these values that are long enough for a signature.
    #[must_use]
    pub fn and_signatures(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.secrets.extend(values.into_iter().filter(|value| value.len() >= SHORTEST_SIGNATURE));
        self
    }

    pub(super) fn keep_with(self, response: &mut Response) {
        response.extensions_mut().insert(self);
    }

    /// The secrets that were kept with the response.
    pub fn in_answer(response: &Response) -> Self {
        response.extensions().get().cloned().unwrap_or_default()
    }

    /// Whether a text of the response contains a credential or a long run of one, in any layers of escapes. A
    /// credential shorter than a signature may be any word. Only the last part of a JWT is secret: the others
    /// hardly differ between tokens.
    pub(crate) fn repeats_credential(&self, text: &[u8]) -> bool {
        let credentials = self.secrets[..self.credentials].iter();
        let long = credentials.filter(|secret| secret.len() >= SHORTEST_SIGNATURE);
        let signature = |secret: &String| match secret.rsplit_once('.') {
            Some((head, signature)) if head.starts_with("ey") => reduced(signature.as_bytes()),
            _ => reduced(secret.as_bytes()),
        };
        holds_run(&reduced(text), long.map(signature).collect(), LONG_RUN)
    }

    /// Whether an id of the response, which goes wherever its asset goes, is a secret or contains a run of one.
    pub fn is_in_id(&self, id: &str) -> bool {
        self.secrets.iter().any(|secret| secret == id) || self.is_in(id)
    }

    /// Whether the text contains a piece of a credential that is no word.
    pub(crate) fn has_piece_in(&self, text: &str) -> bool {
        without_codes(text, self.long_credentials()) != text
    }

    fn long_credentials(&self) -> impl Iterator<Item = &String> {
        self.secrets[..self.credentials].iter().filter(|secret| secret.len() >= SHORTEST_WHOLE)
    }

    /// An excerpt of the prose in a response's text, without the secrets and the pieces of credentials that are no
    /// words. Returns nothing of a text that still contains a run of one.
    pub fn excerpt(&self, text: &str) -> String {
        let shown = excerpt(&without_codes(&prose(&self.left_out(&one_line(text))), self.long_credentials()));
        if self.is_in(&shown) { NOT_SHOWN.to_owned() } else { shown }
    }

    /// The text without the secrets, and without the prefix of one where the text was cut.
    fn left_out(&self, line: &str) -> String {
        let mut secrets: Vec<_> = self.secrets.iter().map(|secret| one_line(secret)).collect();
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        let mut left = line.to_owned();
        for secret in &secrets {
            left = left.replace(secret, "…");
            let ends = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= SHORTEST_PIECE);
            if let Some(start) = ends.rev().map(|at| &secret[..at]).find(|start| left.ends_with(start)) {
                left.replace_range(left.len() - start.len().., "…");
            }
        }
        left
    }
}

/// Whether a value of this lower-case name grants access to anyone who has the address.
pub(super) fn names_signature(name: &str) -> bool {
    OF_SIGNATURES.iter().any(|part| name.contains(part))
}

/// Whether a query value, by its lower-case key, gives the name to save the file under, or its location.
fn names_file(key: &str, value: &str, name: &str) -> bool {
    let has_extension = name.rsplit_once('.').is_some_and(|(_, end)| (1..=5).contains(&end.len()));
    key.contains("disposition")
        || key.contains("filename")
        || key == "rscd"
        || (has_extension && value.ends_with(name))
}

/// The decoded runs of characters between the separators in path and query.
fn signatures(url: &Url) -> Vec<String> {
    let whole = percent_decode_str(&url[Position::BeforePath..Position::AfterQuery]);
    whole.decode_utf8_lossy().split(SEPARATORS).map(str::to_owned).collect()
}

/// The credentials in an `Authorization` header: the token, or the password, which is encoded together with its
/// user.
fn credentials(header: &str) -> Vec<String> {
    // A token may contain blanks, or end with one.
    let (scheme, value) = header.split_once(' ').unwrap_or(("", header));
    let mut found = vec![value.to_owned(), value.trim().to_owned()];
    if scheme.eq_ignore_ascii_case("Basic")
        && let Some(pair) =
            BASE64_STANDARD.decode(value.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
    {
        found.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
    }
    found
}
