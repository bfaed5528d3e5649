//! What a request held that no text of its answer may show: gateways quote the header, or the address, that they refuse.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::header::AUTHORIZATION;
use reqwest::{Request, Response};
use url::form_urlencoded::parse;
use url::{Position, Url};

use super::answer::excerpt;
use super::prose::{one_line, prose};
use super::runs::{LONG_RUN, SHORTEST_RUN, SHORTEST_WHOLE, holds_run, reduced};

/// A shorter value is no signature, and may be any word.
const SHORTEST_SIGNATURE: usize = 16;
/// A shorter beginning of a secret may be the beginning of any word.
const SHORTEST_PIECE: usize = 4;
const SEPARATORS: [char; 8] = ['/', '?', '&', '=', ';', '~', '.', ','];
/// What the names of values in signed addresses hold.
const OF_SIGNATURES: [&str; 7] = ["sig", "token", "policy", "credential", "key-pair-id", "secret", "x-amz-"];
const NOT_SHOWN: &str = "(not shown: it repeats a credential)";

/// The secrets of a request, kept with its answer.
#[derive(Clone, Default)]
pub(crate) struct Unsaid {
    secrets: Vec<String>,
    /// How many of them, the first ones, are credentials.
    credentials: usize,
}

impl Unsaid {
    /// The credential and the secret of a form, and where the address is no call of an interface, the signature in it, which
    /// may be part of its path.
    pub(super) fn of(request: &Request) -> Self {
        let header = request.headers().get(AUTHORIZATION);
        // A token may hold letters that are not ASCII.
        let header = header.and_then(|header| std::str::from_utf8(header.as_bytes()).ok());
        let form = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
        let signs_in = parse(form).any(|(key, _)| key == "grant_type");
        let of_form =
            parse(form).filter(|(key, _)| key == "client_secret").map(|(_, value)| value.into_owned());
        let found =
            Self::default().and_credentials(header.map(credentials).into_iter().flatten().chain(of_form));
        if header.is_some() && !signs_in { found } else { found.and_signatures(signatures(request.url())) }
    }

    fn and_credentials(mut self, values: impl IntoIterator<Item = String>) -> Self {
        self.secrets.splice(..0, values.into_iter().filter(|value| !value.is_empty()));
        self.credentials = self.secrets.len();
        self
    }

    /// Passwords that a peer may quote; a short one may be any word.
    pub(crate) fn passwords<'a>(passwords: impl Iterator<Item = &'a str>) -> Self {
        let long = passwords.filter(|password| password.len() >= SHORTEST_WHOLE);
        Self::default().and_credentials(long.map(str::to_owned))
    }

    /// The same, and what a proxy on the way gets to admit the request.
    pub(super) fn and_proxy(self, header: Option<&str>) -> Self {
        let long = header.into_iter().flat_map(credentials).filter(|secret| secret.len() >= SHORTEST_PIECE);
        let more: Vec<_> = long.chain(self.secrets[..self.credentials].iter().cloned()).collect();
        let rest = Self { secrets: self.secrets[self.credentials..].to_vec(), credentials: 0 };
        rest.and_credentials(more)
    }

    /// What the query of an address names as its signature, and what is no prose in its path, but for the name of the file.
    pub(crate) fn signature_of(url: &Url) -> Self {
        let named = url.query_pairs().filter(|(name, _)| names_signature(&name.to_ascii_lowercase()));
        let path = percent_decode_str(url.path()).decode_utf8_lossy();
        let (folders, file) = path.rsplit_once('/').unwrap_or_default();
        let values =
            folders.split(SEPARATORS).chain(file.split(';').skip(1).flat_map(|value| value.split('=')));
        let codes = values.filter(|value| prose(value) != *value).map(str::to_owned);
        Self::default().and_signatures(named.map(|(_, value)| value.into_owned()).chain(codes))
    }

    /// Whether the text holds a secret, or a run of one, in whatever layers of escapes; a short one may be part of any word.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let long = || self.secrets.iter().filter(|secret| secret.len() >= SHORTEST_WHOLE);
        long().any(|secret| text.contains(secret.as_str())) || {
            let secrets = long().map(|secret| reduced(secret.as_bytes())).collect();
            holds_run(&reduced(text.as_bytes()), secrets, SHORTEST_RUN)
        }
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

    /// Whether a text of the answer holds a credential, or a long run of one, in whatever layers of escapes. A shorter one than
    /// a signature may be any word, and only the last part of a JWT is secret: the others are much the same in each.
    pub(crate) fn repeats_credential(&self, text: &[u8]) -> bool {
        let credentials = self.secrets[..self.credentials].iter();
        let long = credentials.filter(|secret| secret.len() >= SHORTEST_SIGNATURE);
        let signature = |secret: &String| match secret.rsplit_once('.') {
            Some((head, signature)) if head.starts_with("ey") => reduced(signature.as_bytes()),
            _ => reduced(secret.as_bytes()),
        };
        holds_run(&reduced(text), long.map(signature).collect(), LONG_RUN)
    }

    /// Whether an id of the answer, which goes wherever its asset goes, is one of them or holds a run of one.
    pub(crate) fn is_in_id(&self, id: &str) -> bool {
        self.secrets.iter().any(|secret| secret == id) || self.is_in(id)
    }

    /// An excerpt of the prose of an answer's text, without them. A text that holds a run of one all the same is not shown.
    pub(crate) fn excerpt(&self, text: &str) -> String {
        let shown = excerpt(&prose(&self.left_out(&one_line(text))));
        if self.is_in(&shown) { NOT_SHOWN.to_owned() } else { shown }
    }

    /// Without secrets as they are, and without the beginning of one where the text was cut.
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

/// Whether a value of this name, in lower case, lets anybody in who has the address.
pub(super) fn names_signature(name: &str) -> bool {
    OF_SIGNATURES.iter().any(|part| name.contains(part))
}

/// The runs of characters in path and query, decoded, between what separates them.
fn signatures(url: &Url) -> Vec<String> {
    let whole = percent_decode_str(&url[Position::BeforePath..Position::AfterQuery]);
    whole.decode_utf8_lossy().split(SEPARATORS).map(str::to_owned).collect()
}

/// What an `Authorization` header holds: the token, or the password as well, which is encoded together with its user.
fn credentials(header: &str) -> Vec<String> {
    // A token may hold blanks, or end with one.
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

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    #[test]
    fn a_secret_is_left_out_however_json_addresses_and_pages_spell_it() {
        for secret in
            ["s3/cr\"t+é=", "<&\"'>%=+", "пароль-é", "&&amp;&", "a%25&b", "🔑🔑", "sesame", "open, sesame"]
        {
            let client = reqwest::Client::new().get("https://service.example/");
            let header = BASE64_STANDARD.encode(format!("me:{secret}"));
            let unsaid = Unsaid::of(&client.basic_auth("me", Some(secret)).build().unwrap());
            let codes = |code: fn(u32) -> String| secret.chars().map(|c| code(c.into())).collect::<String>();
            let page = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let page = page.replace('"', "&quot;").replace('\'', "&apos;").replace(' ', "&nbsp;");
            let units: Vec<_> = secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC);
            let json = serde_json::to_string(secret).unwrap();
            for said in [
                secret.to_owned(),
                json[1..json.len() - 1].to_owned(),
                page,
                units.concat(),
                codes(|code| format!("&#{code};")),
                codes(|code| format!("&#x{code:X};")),
                percent.to_string(),
                format!("client_secret={}", secret.replace(' ', "+")),
                header.clone(),
            ] {
                let shown = unsaid.excerpt(&format!("no {said} here"));
                assert!(shown.contains('…') && shown.ends_with(" here"), "{said}: {shown}");
                let left =
                    shown["no ".len()..shown.len() - " here".len()].chars().filter(|c| c.is_alphanumeric());
                assert_eq!(left.count(), 0, "{said}: {shown}");
            }
        }
    }

    #[test]
    fn a_token_that_holds_or_ends_with_a_blank_is_a_secret_all_the_same() {
        for token in ["s3cr3t-t0ken-0f-thirty ", "s3cr3t-t0ken 0f-thirty", " s3cr3t-t0ken-0f thirty "] {
            let header = reqwest::header::HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            let request =
                reqwest::Client::new().get("https://service.example/").header(AUTHORIZATION, header);
            let unsaid = Unsaid::of(&request.build().unwrap());
            for said in [token, token.trim()] {
                let shown = unsaid.excerpt(&format!("no \"{said}\" here"));
                assert_eq!(shown.replace(' ', ""), "no\"…\"here", "{token:?}");
            }
            assert!(unsaid.repeats_credential(token.as_bytes()), "{token:?}");
        }
    }

    #[test]
    fn the_beginning_of_a_secret_where_a_text_was_cut_is_left_out() {
        let unsaid = Unsaid::default().and_signatures(["s3/cr\"t+é=0123456789".to_owned()]);
        for (cut, shown) in [
            ("s3/cr\"t+é=012345678", "no …"),
            ("s3/c", "no …"),
            (r"s3\/cr\", "no …"),
            (r"s3\u002fcr\u00", "no …"),
            ("s3%2Fcr%2", "no …"),
        ] {
            assert_eq!(unsaid.excerpt(&format!("no {cut}")), shown, "{cut}");
        }
        for other in ["no s3/", "no s3/c more"] {
            assert_eq!(unsaid.excerpt(other), other);
        }
    }

    #[test]
    fn no_run_of_a_credential_is_shown_in_another_spelling() {
        let token = "s3cr/t \"Token+of&Thirty-Characters";
        let unsaid = Unsaid::passwords([token].into_iter());
        let json = |text: &str| serde_json::to_string(text).unwrap();
        let percent = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let code = |text: &str| {
            text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect::<Vec<_>>().concat()
        };
        let entities =
            |text: &str| text.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect::<Vec<_>>().concat();
        for spelled in [
            json(&json(token)),
            json(&code(token)),
            json(&code(&token[..20])),
            percent(&percent(token)),
            percent(&code(&token[..20])),
            entities(&token[..24]),
            token.to_uppercase(),
            token.replace(' ', "-"),
            token[8..].to_owned(),
            BASE64_STANDARD.encode(token),
            BASE64_STANDARD.encode(format!("\0connector\0{token}")),
            BASE64_STANDARD.encode(format!("\0user\0{token}")),
            BASE64_STANDARD.encode(format!("\0u\0{token}"))[..30].to_owned(),
            hex::encode(token),
        ] {
            let shown = unsaid.excerpt(&format!("no {spelled} here"));
            // Of one that holds blanks or quotes, a short piece between them may be left.
            let holds = |run: &[u8]| shown.as_bytes().windows(run.len()).any(|part| part == run);
            assert!(!token.as_bytes().windows(8).any(holds), "{spelled}: {shown}");
            assert!(shown.len() < 50, "{spelled}: {shown}");
        }
        let words = Unsaid::passwords(["OpenSesameOfTheForty"].into_iter());
        for said in [
            "OPENSESAMEOFTHEFORTY",
            "open sesame of the forty",
            "o p e n s e s a m e o f",
            "Sesame/Of/The/Forty",
        ] {
            assert_eq!(words.excerpt(&format!("no {said} here")), NOT_SHOWN, "{said}");
        }
        for harmless in ["a Token of a kind", "30 characters", "s3cr/t"] {
            assert_eq!(unsaid.excerpt(&format!("no {harmless} here")), format!("no {harmless} here"));
        }
    }

    #[test]
    fn every_long_run_of_a_signed_address_is_a_signature() {
        let run = "abcdefghijklmnopqrs";
        let client = reqwest::Client::new();
        for address in [
            format!("?{run}"),
            format!("?SIG={run}"),
            format!("a;sig={run}"),
            format!("a/token~hmac={run}"),
            format!("?jwt=eyJhbGci.{run}.abc"),
            format!("a%2Fb%3D{run}/f"),
            format!("?a=b&c={run}~d,e"),
        ] {
            let url = format!("https://storage.example/{address}");
            let linked = Unsaid::of(&client.get(&url).build().unwrap());
            assert_eq!(linked.excerpt(&format!("not {run} here")), "not … here", "{url}");
            // A call of an interface quotes what it asked for; only where tokens come from, the address is secret as well.
            let called = Unsaid::of(&client.get(&url).bearer_auth("t").build().unwrap());
            assert!(called.excerpt(&format!("noo {run}")).contains(run), "{url}");
            let form = client.post(&url).basic_auth("me", Some("pass")).form(&[("grant_type", "x")]);
            assert_eq!(Unsaid::of(&form.build().unwrap()).excerpt(&format!("noo {run}")), "noo …", "{url}");
        }
    }

    #[test]
    fn a_token_with_letters_that_are_not_ascii_is_left_out() {
        let request =
            reqwest::Client::new().get("https://service.example/").bearer_auth("Schlüssel-zum-Portal");
        let unsaid = Unsaid::of(&request.build().unwrap());
        assert_eq!(unsaid.excerpt("no Schlüssel-zum-Portal here"), "no … here");
    }

    #[test]
    fn an_id_that_holds_a_credential_is_known_in_every_spelling() {
        let token = "s3cr3t-token-of-thirty-characters";
        let request = reqwest::Client::new().get("https://service.example/").bearer_auth(token);
        let unsaid = Unsaid::of(&request.build().unwrap());
        for id in
            [token, &token.to_uppercase(), &format!("m-{token}"), &token.replace('s', "%73"), &token[5..]]
        {
            assert!(unsaid.is_in_id(id), "{id}");
        }
        for id in ["m-token", "d2a9d676-ae69-4eca-9a6e-a4447374e95b", "7"] {
            assert!(!unsaid.is_in_id(id), "{id}");
        }
    }

    #[test]
    fn the_password_for_the_proxy_is_a_credential_as_well() {
        let request = reqwest::Client::new().get("https://service.example/").bearer_auth("t0ken");
        let proxy = format!("Basic {}", BASE64_STANDARD.encode("me:pr0xy/word"));
        let unsaid = Unsaid::of(&request.build().unwrap()).and_proxy(Some(&proxy));
        for said in ["t0ken", "pr0xy/word", "pr0xy%2Fword", &proxy[6..]] {
            assert_eq!(unsaid.excerpt(&format!("no {said} here")), "no … here");
        }
        assert_eq!(unsaid.credentials, unsaid.secrets.len());
    }

    #[test]
    fn a_name_holds_no_signature_of_its_link_but_may_be_in_its_path() {
        let link = "https://a.example/fedcba9876543210fedc/IMG_20260101_123456/a-photo-of-the-sea.jpg;hmac=00112233445566778899aa\
                    ?X-Amz-Signature=0123456789abcdef0123&Expires=1790000000\
                    &response-content-disposition=attachment%3Bfilename%3Da-photo-of-the-sea.jpg";
        let signature = Unsaid::signature_of(&link.parse().unwrap());
        for name in [
            "0123456789abcdef0123.jpg",
            "a 0123456789ABCDEF0123",
            "0123456789abcdef.png",
            "fedcba9876543210fedc.jpg",
            "a;hmac=00112233445566778899aa",
        ] {
            assert!(signature.is_in(name), "{name}");
        }
        for name in ["a-photo-of-the-sea.jpg", "IMG_20260101_123456.jpg"] {
            assert!(!signature.is_in(name), "{name}");
        }
    }

    #[test]
    fn a_form_writes_a_blank_as_a_plus() {
        let form = [("grant_type", "client_credentials"), ("client_secret", "my s3 cr t")];
        let request = reqwest::Client::new().post("https://service.example/").form(&form).build().unwrap();
        assert_eq!(Unsaid::of(&request).excerpt("client_secret=my+s3+cr+t here"), "… here");
    }
}
