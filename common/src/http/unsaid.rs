//! What a request held that no text of its answer may show: gateways quote the header, or the address, that they refuse.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::AUTHORIZATION;
use reqwest::{Request, Response};
use url::form_urlencoded::parse;

/// A shorter value is no signature, and may be any word.
const SHORTEST_SIGNATURE: usize = 16;
/// A shorter beginning of a secret may be the beginning of any word.
const SHORTEST_PIECE: usize = 4;

/// The secrets of a request, kept with its answer.
#[derive(Clone, Default)]
pub(crate) struct Unsaid {
    secrets: Vec<String>,
    /// How many of them, the first ones, are credentials.
    credentials: usize,
}

impl Unsaid {
    /// The credential, the secret of a form, and for what is not signed by a credential the signature in its address,
    /// which may be part of its path.
    pub(super) fn of(request: &Request) -> Self {
        let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
        let form = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let of_form =
            parse(form).filter(|(key, _)| key == "client_secret").map(|(_, value)| value.into_owned());
        let mut secrets: Vec<_> = header.map(credentials).unwrap_or_default();
        secrets.extend(of_form);
        secrets.retain(|secret| !secret.is_empty());
        let found = Self { credentials: secrets.len(), secrets };
        if header.is_none() {
            let query = request.url().query().unwrap_or_default();
            let raw = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
            let raw = request.url().path().split('/').chain(raw).map(str::to_owned);
            let values = raw.chain(parse(query.as_bytes()).map(|(_, value)| value.into_owned()));
            return found.and_signatures(values);
        }
        found
    }

    /// These values as well, where they are long enough for a signature.
    pub(crate) fn and_signatures(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.secrets.extend(values.into_iter().filter(|value| value.len() >= SHORTEST_SIGNATURE));
        self
    }

    pub(super) fn keep_with(self, response: &mut Response) {
        response.extensions_mut().insert(self);
    }

    /// What was kept with the answer.
    pub(crate) fn in_answer(response: &Response) -> Self {
        response.extensions().get().cloned().unwrap_or_default()
    }

    /// Whether a text of the answer holds a credential. A shorter one than a signature may be any word.
    pub(super) fn repeats_credential(&self, text: &str) -> bool {
        let credentials = self.secrets[..self.credentials].iter();
        let mut long = credentials.filter(|secret| secret.len() >= SHORTEST_SIGNATURE);
        long.any(|secret| text.contains(secret.as_str()) || text.contains(&secret.replace('/', r"\/")))
    }

    /// A text of the answer without them, as they are and as JSON and addresses escape them, nor the beginning of one where
    /// the text was cut.
    pub(crate) fn left_out(&self, text: &str) -> String {
        let secrets: Vec<Vec<_>> =
            self.secrets.iter().map(|secret| secret.chars().map(spellings).collect()).collect();
        let (mut left, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(c) = rest.chars().next() {
            let longest = secrets.iter().filter_map(|secret| length_at_start(rest, secret)).max();
            left.push(if longest.is_some() { '…' } else { c });
            rest = &rest[longest.unwrap_or(c.len_utf8())..];
        }
        left
    }
}

/// What an `Authorization` header holds: the token, or the password as well, which is encoded together with its user.
fn credentials(header: &str) -> Vec<String> {
    let (scheme, value) = header.rsplit_once(' ').unwrap_or(("", header));
    let mut found = vec![value.to_owned()];
    if scheme.eq_ignore_ascii_case("Basic")
        && let Some(pair) = BASE64_STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok())
    {
        found.extend(pair.split_once(':').map(|(_, password)| password.to_owned()));
        found.push(pair);
    }
    found
}

/// A character as it is, and as JSON and addresses may write it.
fn spellings(c: char) -> [String; 4] {
    let percent = utf8_percent_encode(&c.to_string(), NON_ALPHANUMERIC).to_string();
    [c.to_string(), format!("\\{c}"), format!("\\u{:04x}", u32::from(c)), percent]
}

/// The bytes at the start of the text that spell the secret, or as much of it as the text has room for.
fn length_at_start(text: &str, secret: &[[String; 4]]) -> Option<usize> {
    let spelled = secret.iter().enumerate().try_fold(0, |length, (known, spellings)| {
        let rest = &text[length..];
        if known >= SHORTEST_PIECE && spellings.iter().any(|spelling| begins_with(spelling, rest)) {
            return Err(text.len());
        }
        let is_there = |spelling: &&String| {
            let there = text.get(length..length + spelling.len());
            // Digits come in either case.
            there.is_some_and(|there| {
                there == *spelling || (spelling.len() > 2 && there.eq_ignore_ascii_case(spelling))
            })
        };
        spellings.iter().find(is_there).map(|spelling| length + spelling.len()).ok_or(0)
    });
    spelled.map_or_else(|cut| (cut > 0).then_some(cut), Some)
}

fn begins_with(spelling: &str, start: &str) -> bool {
    spelling.get(..start.len()).is_some_and(|there| there.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_left_out_however_json_and_addresses_spell_it() {
        let client = reqwest::Client::new();
        let request = client.get("https://service.example/").basic_auth("me", Some("s3/cr\"t+é="));
        let unsaid = Unsaid::of(&request.build().unwrap());
        for spelled in [
            "s3/cr\"t+é=",
            "me:s3/cr\"t+é=",
            r#"s3\/cr\"t+é="#,
            r"s3\u002Fcr\u0022t\u002b\u00e9\u003d",
            "s3%2Fcr%22t%2b%C3%A9%3D",
            "bWU6czMvY3IidCvDqT0=",
        ] {
            assert_eq!(unsaid.left_out(&format!("é {spelled} me")), "é … me", "{spelled}");
        }
        assert_eq!(unsaid.left_out("s3/cr\"t+é me"), "s3/cr\"t+é me");
    }

    #[test]
    fn the_beginning_of_a_secret_where_a_text_was_cut_is_left_out() {
        let unsaid = Unsaid::default().and_signatures(["s3/cr\"t+é=0123456789".to_owned()]);
        for cut in ["s3/cr\"t+é=012345678", "s3/c", r"s3\/cr\", r"s3\u002fcr\u00", "s3%2Fcr%2"] {
            assert_eq!(unsaid.left_out(&format!("no {cut}")), "no …", "{cut}");
        }
        for other in ["no s3/", "no s3/c more"] {
            assert_eq!(unsaid.left_out(other), other);
        }
    }
}
