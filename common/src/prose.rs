//! Keeps only ordinary prose of a text that a peer wrote. Prose holds no secret, however a secret is escaped or
//! encoded, so secrets need not be recognised. Pure.

use std::fmt;

use crate::excerpt::{excerpt, one_line};

/// The characters that occur in prose besides letters and digits. Every escape of JSON, URLs and web pages needs
/// another character.
const PUNCTUATION: &str = "*.,:;!?'’`“”«»()[]{}/_-–—=";
/// The characters that end a run: blanks, and the delimiters of tags and JSON strings.
const BOUNDARIES: [char; 4] = [' ', '"', '<', '>'];
/// A longer word may be a code.
const LONGEST_WORD: usize = 24;
/// Enough for a size in bytes.
const LONGEST_NUMBER: usize = 10;
/// Enough for `ISO8601` or `27T10`.
const LONGEST_MIX: usize = 8;
/// The most digits and letters outside words, which count twice, in a whole text: enough for a time or a few sizes.
const MOST_CODE: usize = 24;
const MOST_IDS: usize = 2;

/// Replaces each run of characters that is not prose by `…`, and so the rest of a link after its scheme. Returns
/// one line.
pub fn prose(text: &str) -> String {
    let line = one_line(text);
    let mut left = Left { code: MOST_CODE, ids: MOST_IDS };
    let shown: String = line.split_inclusive(BOUNDARIES).map(|run| left.shown(run)).collect();
    let mut words: Vec<_> = shown.split(' ').collect();
    words.dedup_by(|word, before| *word == "…" && word == before);
    words.join(" ")
}

/// An excerpt of the prose in a text that a peer wrote, to show to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said(String);

impl<T: AsRef<str>> From<T> for Said {
    fn from(text: T) -> Self {
        Self(excerpt(&prose(text.as_ref())))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How much code the rest of a text may contain.
#[derive(Clone, Copy)]
struct Left {
    code: usize,
    ids: usize,
}

impl Left {
    fn shown(&mut self, run: &str) -> String {
        let (run, end) = run.split_at(run.trim_end_matches(BOUNDARIES).len());
        let (run, link) = run.split_once("//").map_or((run, ""), |(scheme, _)| (scheme, "//…"));
        match self.after(run) {
            Some(left) => {
                *self = left;
                format!("{run}{link}{end}")
            }
            None => format!("…{end}"),
        }
    }

    /// The remaining allowance after this run; `None` if the run is not prose.
    fn after(mut self, run: &str) -> Option<Self> {
        let is_known = |c: char| c.is_alphabetic() || c.is_ascii_digit() || PUNCTUATION.contains(c);
        // The value is a number.
        let is_counter = |value: &str| {
            let digits = value.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !run.chars().all(is_known) || !run.split('=').skip(1).all(is_counter) {
            return None;
        }
        for part in run.split(|c: char| !c.is_alphanumeric() && c != '-') {
            if is_id(part) {
                self.ids = self.ids.checked_sub(1)?;
                continue;
            }
            for piece in part.split('-').filter(|piece| !piece.is_empty()) {
                self.code = self.code.checked_sub(code(piece)?)?;
            }
        }
        Some(self)
    }
}

/// How much of a piece is code; `None` if too much.
fn code(piece: &str) -> Option<usize> {
    let length = piece.chars().count();
    let is_number = piece.bytes().all(|byte| byte.is_ascii_digit());
    let (most, cost) = match (is_word(piece), is_number) {
        (true, _) => (LONGEST_WORD, 0),
        (false, true) => (LONGEST_NUMBER, length),
        (false, false) => (LONGEST_MIX, 2 * length),
    };
    (length <= most).then_some(cost)
}

/// Two letters or more. In mixed case, as in `SignatureDoesNotMatch`, no lower-case letter is alone.
fn is_word(piece: &str) -> bool {
    let camel = piece.strip_suffix("Id").unwrap_or(piece);
    piece.chars().count() > 1
        && piece.chars().all(char::is_alphabetic)
        && (!camel.contains(char::is_uppercase)
            || camel.split(char::is_uppercase).all(|small| small.chars().count() != 1))
}

/// The form of ids that Bynder and other services use.
fn is_id(part: &str) -> bool {
    let lengths = part.split('-').map(str::len);
    (lengths.clone().eq([8, 4, 4, 4, 12]) || lengths.eq([8, 4, 4, 16]))
        && part.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    #[test]
    fn what_services_and_brokers_say_stays_readable() {
        for said in [
            // Bynder.
            "Invalid or expired token.",
            "Access denied",
            "Media not found",
            "Could not complete upload",
            r#"{"message":"Access denied","statuscode":"403"}"#,
            r#"{"message":"Metaproperty not found","statuscode":404}"#,
            r#"{"filename":"'image' is not a valid filename"}"#,
            "Date format not ISO8601-compliant",
            "Invalid unsigned integer for CRC32",
            r#"{"error":"invalid_client","error_description":"Client authentication failed (e.g., unknown client)"}"#,
            "Asset 85353F1C-1CB3-B3A6-62B019A827E588EA is locked",
            // Imatag.
            "Invalid token.",
            "Authentication credentials were not provided.",
            "file: No file was submitted.; title: This field is required.",
            "Request was throttled. Expected available in 3600 seconds.",
            "this directory is not below your homedir",
            "L’image est trop petite : 120 x 80 pixels, il en faut 200 x 200.",
            "medium d2a9d676-ae69-4eca-9a6e-a4447374e95b: too small",
            // Storage and gateways.
            "<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the \
             signature you provided. Check your key and signing method.</Message>",
            "<Error><Code>EntityTooLarge</Code><ProposedSize>5368709121</ProposedSize>\
             <MaxSizeAllowed>5368709120</MaxSizeAllowed></Error>",
            "<Code>AccessDenied</Code><Message>Request has expired</Message><Expires>2026-11-27T10:00:00Z</Expires>",
            "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center>",
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
            "limit=100, remaining=99; reset=1790000000",
            "application/json",
            // RabbitMQ.
            "NOT_FOUND - no queue 'connector.jobs.watermark' in vhost '/'",
            "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
            "NOT_ALLOWED - access to vhost 'media' refused for user 'connector'",
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'connector.jobs' in vhost '/': received none \
             but current is the value 'quorum' of type 'longstr'",
            "PRECONDITION_FAILED - message size 134217729 is larger than configured max size 134217728",
            "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
            "IO error: Connection refused (os error 111)",
            // Parse errors and TLS.
            "results[0].id: invalid type: integer, expected a string at line 1 column 52",
            "missing field `access_token`",
            "invalid peer certificate: UnknownIssuer",
            r#"certificate not valid for name "a.example"; certificate is only valid for DnsName("*.example")"#,
        ] {
            assert_eq!(prose(said), said);
        }
        for (said, shown) in [
            ("no  such\tasset\n", "no such asset"),
            (
                "<RequestId>4442587FB7D0A2F9</RequestId><HostId>dqw+/4==</HostId>",
                "<RequestId>…</RequestId><HostId>…</HostId>",
            ),
            (r#"<?xml version="1.0" encoding="UTF-8"?><Error>"#, r#"<?xml …"1.0" …"UTF-8"?><Error>"#),
            ("text/html; charset=utf-8", "text/html; …"),
            (r#"<a href="https://a.example/b">x</a>"#, r#"<a …"https://…">x</a>"#),
            ("moved to https://u:w@bucket.example/f here", "moved to https://… here"),
            ("yes & no 100% # + me@a.example", "yes … no …"),
        ] {
            assert_eq!(prose(said), shown);
        }
    }

    /// A secret of letters and digits is never prose, whatever its spelling.
    #[test]
    fn no_spelling_of_a_secret_is_prose() {
        let each = |text: &str, spelled: fn(u32) -> String| -> String {
            text.chars().map(|c| spelled(c.into())).collect()
        };
        for secret in [
            "s3cr3tSignature0123456789abcdef01",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "0a4d55a8d778e5022fab701977c5d840bbc486d0",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
            "7340261985531",
            "JBSWY3DPEHPK3PXPJBSWY3DP",
            "correcthorsebatterystaple",
        ] {
            let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            for spelled in [
                secret.to_owned(),
                each(secret, |code| format!("%{code:x}")),
                each(secret, |code| format!("%25{code:X}")),
                each(secret, |code| format!("\\u{code:04x}")),
                each(secret, |code| format!("\\\\x{code:02x}")),
                each(secret, |code| format!("&#{code};")),
                each(secret, |code| format!("&amp;#x{code:x};")),
                format!("X-Amz-Signature={secret}"),
                format!("sig%3D{percent}"),
                format!("https:&#x2F;&#x2F;a.example&#x2F;f?x={secret}"),
                format!("https:\\/\\/a.example\\/{secret}"),
                format!("//a.example/{secret}"),
                format!("／／a.example/o/f.jpg?{secret}"),
                BASE64_STANDARD.encode(secret),
                BASE64_URL_SAFE_NO_PAD.encode(secret),
                BASE64_STANDARD_NO_PAD.encode(format!("\0user\0{secret}")),
                hex::encode(secret),
            ] {
                assert_eq!(prose(&format!("no {spelled} here")).replace("//", ""), "no … here", "{spelled}");
                let json = format!(r#"{{"a":"{spelled}"}}"#);
                assert_eq!(prose(&json).replace("//", ""), r#"{"a":"…"}"#, "{spelled}");
            }
        }
    }

    #[test]
    fn a_text_holds_few_numbers_codes_and_ids() {
        let codes = |separator: &str| {
            let codes = "s3cr3tSignature0123".bytes().map(|byte| byte.to_string());
            codes.collect::<Vec<_>>().join(separator)
        };
        for said in [codes(" "), codes(", "), codes("-"), "s 3 c r 3 t ".repeat(9), "s3cr3t ".repeat(9)] {
            let shown = prose(&said);
            let kept = shown.chars().filter(char::is_ascii_alphanumeric).count();
            assert!(kept <= MOST_CODE, "{shown}");
        }
        for key in ["4442-587F-B7D0-A2F9", "s.3.c.r.3.t.S.i.g.n.a.t.u.r.e.0.1.2.3.4.5.6"] {
            assert_eq!(prose(key), "…");
        }
        let id = "d2a9d676-ae69-4eca-9a6e-a4447374e95b";
        assert_eq!(prose(&[id; 4].join(", ")), format!("{id}, {id}, …"));
        for other in ["_", ""] {
            assert_eq!(prose(&id.replace('-', other)), "…");
        }
    }
}
