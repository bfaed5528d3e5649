use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::*;

#[test]
fn a_secret_is_left_out_however_json_addresses_and_pages_spell_it() {
    for secret in
        ["s3/cr\"t+é=", "<&\"'>%=+", "пароль-é", "&&amp;&", "a%25&b", "🔑🔑", "sesame", "open, sesame"]
    {
        let client = crate::plain_client().get("https://service.example/");
        let header = BASE64_STANDARD.encode(format!("me:{secret}"));
        let redactor = Redactor::of(&client.basic_auth("me", Some(secret)).build().unwrap());
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
            let shown = redactor.excerpt(&format!("no {said} here"));
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
        let request = crate::plain_client().get("https://service.example/").header(AUTHORIZATION, header);
        let redactor = Redactor::of(&request.build().unwrap());
        for said in [token, token.trim()] {
            let shown = redactor.excerpt(&format!("no \"{said}\" here"));
            assert_eq!(shown.replace(' ', ""), "no\"…\"here", "{token:?}");
        }
        assert!(redactor.repeats_credential(token.as_bytes()), "{token:?}");
    }
}

#[test]
fn the_beginning_of_a_secret_where_a_text_was_cut_is_left_out() {
    let redactor = Redactor::default().and_signatures(["s3/cr\"t+é=0123456789".to_owned()]);
    for (cut, shown) in [
        ("s3/cr\"t+é=012345678", "no …"),
        ("s3/c", "no …"),
        (r"s3\/cr\", "no …"),
        (r"s3\u002fcr\u00", "no …"),
        ("s3%2Fcr%2", "no …"),
    ] {
        assert_eq!(redactor.excerpt(&format!("no {cut}")), shown, "{cut}");
    }
    for other in ["no s3/", "no s3/c more"] {
        assert_eq!(redactor.excerpt(other), other);
    }
}

#[test]
fn no_run_of_a_credential_is_shown_in_another_spelling() {
    let token = "s3cr/t \"Token+of&Thirty-Characters";
    let redactor = Redactor::passwords([token].into_iter());
    let json = |text: &str| serde_json::to_string(text).unwrap();
    let percent = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let code =
        |text: &str| text.chars().map(|c| format!("\\u{:04X}", u32::from(c))).collect::<Vec<_>>().concat();
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
        let shown = redactor.excerpt(&format!("no {spelled} here"));
        // If a secret contains blanks or quotes, a short piece between them may remain.
        let holds = |run: &[u8]| shown.as_bytes().windows(run.len()).any(|part| part == run);
        assert!(!token.as_bytes().windows(8).any(holds), "{spelled}: {shown}");
        assert!(shown.len() < 50, "{spelled}: {shown}");
    }
    let words = Redactor::passwords(["OpenSesameOfTheForty"].into_iter());
    for said in
        ["OPENSESAMEOFTHEFORTY", "open sesame of the forty", "o p e n s e s a m e o f", "Sesame/Of/The/Forty"]
    {
        assert_eq!(words.excerpt(&format!("no {said} here")), NOT_SHOWN, "{said}");
    }
    for harmless in ["a Token of a kind", "30 characters", "s3cr/t"] {
        assert_eq!(redactor.excerpt(&format!("no {harmless} here")), format!("no {harmless} here"));
    }
}

#[test]
fn no_short_piece_of_a_credential_is_shown_unless_it_may_be_a_word() {
    let password = "Br0kerPassw0rdOfTwenty1";
    let redactor = Redactor::passwords([password].into_iter());
    for length in 6..=password.len() {
        for from in 0..=password.len() - length {
            let piece = &password[from..from + length];
            for said in [piece.to_owned(), piece.to_uppercase()] {
                let shown = redactor.excerpt(&format!("no, {said} here"));
                let is_code = piece.contains(|c: char| c.is_ascii_digit());
                assert!(!is_code || !shown.contains(&said), "{shown}");
            }
        }
    }
    for harmless in
        ["of twenty words", "a broker of 2026-01-01T10", "PASSWORD OF 20 characters", "w0rd", "passw 0rd"]
    {
        assert_eq!(redactor.excerpt(harmless), harmless);
    }
}

#[test]
fn every_long_run_of_a_signed_address_is_a_signature() {
    let run = "abcdefghijklmnopqrs";
    let client = crate::plain_client();
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
        let linked = Redactor::of(&client.get(&url).build().unwrap());
        assert_eq!(linked.excerpt(&format!("not {run} here")), "not … here", "{url}");
        // An API call quotes its own request; the address is secret only where tokens are issued.
        let called = Redactor::of(&client.get(&url).bearer_auth("t").build().unwrap());
        assert!(called.excerpt(&format!("noo {run}")).contains(run), "{url}");
        let form = client.post(&url).basic_auth("me", Some("pass")).form(&[("grant_type", "x")]);
        assert_eq!(Redactor::of(&form.build().unwrap()).excerpt(&format!("noo {run}")), "noo …", "{url}");
    }
}

#[test]
fn a_token_with_letters_that_are_not_ascii_is_left_out() {
    let request = crate::plain_client().get("https://service.example/").bearer_auth("Schlüssel-zum-Portal");
    let redactor = Redactor::of(&request.build().unwrap());
    assert_eq!(redactor.excerpt("no Schlüssel-zum-Portal here"), "no … here");
}

#[test]
fn an_id_that_holds_a_credential_is_known_in_every_spelling() {
    let token = "s3cr3t-token-of-thirty-characters";
    let request = crate::plain_client().get("https://service.example/").bearer_auth(token);
    let redactor = Redactor::of(&request.build().unwrap());
    for id in [token, &token.to_uppercase(), &format!("m-{token}"), &token.replace('s', "%73"), &token[5..]] {
        assert!(redactor.is_in_id(id), "{id}");
    }
    for id in ["m-token", "d2a9d676-ae69-4eca-9a6e-a4447374e95b", "7"] {
        assert!(!redactor.is_in_id(id), "{id}");
    }
}

#[test]
fn the_password_for_the_proxy_is_a_credential_as_well() {
    let request = crate::plain_client().get("https://service.example/").bearer_auth("t0ken");
    let proxy = format!("Basic {}", BASE64_STANDARD.encode("me:pr0xy/word"));
    let redactor = Redactor::of(&request.build().unwrap()).and_proxy(Some(&proxy));
    for said in ["t0ken", "pr0xy/word", "pr0xy%2Fword", &proxy[6..]] {
        assert_eq!(redactor.excerpt(&format!("no {said} here")), "no … here");
    }
    assert_eq!(redactor.credentials, redactor.secrets.len());
}

#[test]
fn a_name_holds_no_signature_of_its_link_but_may_be_in_its_path() {
    let link = "https://a.example/fedcba9876543210fedc/IMG_20260101_123456/a-photo-of-the-sea.jpg;hmac=00112233445566778899aa\
                ?X-Amz-Signature=0123456789abcdef0123&Expires=1790000000\
                &response-content-disposition=attachment%3Bfilename%3Da-photo-of-the-sea.jpg";
    let is_in = |name: &str| Redactor::signature_of(&link.parse().unwrap(), name).is_in(name);
    for name in [
        "0123456789abcdef0123.jpg",
        "a 0123456789ABCDEF0123",
        "0123456789abcdef.png",
        "fedcba9876543210fedc.jpg",
        "a;hmac=00112233445566778899aa",
    ] {
        assert!(is_in(name), "{name}");
    }
    for name in ["a-photo-of-the-sea.jpg", "IMG_20260101_123456.jpg"] {
        assert!(!is_in(name), "{name}");
    }
}

#[test]
fn a_name_holds_no_long_value_of_the_query_whatever_that_is_called() {
    let code = "af25c0ffee1234567890abcdef123456";
    for query in [
        format!("hdnts=exp=1~acl=/*~hmac={code}"),
        format!("hmac={code}"),
        format!("md5={code}&expires=1"),
        format!("verify=17-{code}"),
        format!("auth={code}"),
        code.to_owned(),
        "auth=af25/c0ffee1234567/890abcdef123456".to_owned(),
    ] {
        let url = format!("https://a.example/f.jpg?{query}").parse().unwrap();
        for name in [code.to_owned(), format!("{code}.jpg"), format!("f {}.jpg", code.to_uppercase())] {
            assert!(Redactor::signature_of(&url, &name).is_in(&name), "{query} {name}");
            let url = format!("https://a.example/{code}").parse().unwrap();
            assert!(Redactor::signature_of(&url, &name).is_in(&name), "{name}");
        }
    }
    for query in [
        "response-content-disposition=attachment%3Bfilename*%3DUTF-8''a%2520photo%2520of%2520the%2520sea%25201234567890123.jpg",
        "key=2026/a%20photo%20of%20the%20sea%201234567890123.jpg",
        "response-content-type=application/vnd.adobe.photoshop&x=a-word",
    ] {
        let url = format!("https://a.example/f.jpg?{query}").parse().unwrap();
        for name in ["a photo of the sea 1234567890123.jpg", "my adobe photoshop file.psd"] {
            assert!(!Redactor::signature_of(&url, name).is_in(name), "{query} {name}");
        }
    }
}

#[test]
fn a_form_writes_a_blank_as_a_plus() {
    let form = [("grant_type", "client_credentials"), ("client_secret", "my s3 cr t")];
    let request = crate::plain_client().post("https://service.example/").form(&form).build().unwrap();
    assert_eq!(Redactor::of(&request).excerpt("client_secret=my+s3+cr+t here"), "… here");
}
