//! The operator's page: who may see it, and the tokens.

use super::*;

const TOKEN: &str = "abcdefghijklmnopqrstuvwxyz";

fn page(text: &str) -> String {
    format!("{SAMPLE}\n[page]\n{text}")
}

fn token(name: &str, token: &str) -> String {
    format!("\n[[page.tokens]]\nname = '{name}'\ntoken = '{token}'")
}

#[test]
fn a_page_for_other_machines_needs_a_token_and_each_token_a_name() {
    let anna = token("Anna", TOKEN);
    let listen = "listen = '127.0.0.1:9092'";
    assert_refused(&[
        (page("listen = '0.0.0.0:9092'"), "page.tokens: is empty, but page.listen is reachable from other"),
        (page("listen = '[::]:9092'"), "page.tokens: is empty"),
        (page("listen = 'everywhere'"), "page.listen: is not a listen address"),
        (page("public_url = 'https://a.example/page'"), "page.public_url: must be the address alone"),
        (page("public_url = 'http://a.example'"), "page.public_url: must use https"),
        (page(&format!("{listen}{}", token("", TOKEN))), "page.tokens[0].name: must be 1 to 64 letters"),
        (page(&format!("{listen}{}", token("a\u{202e}b", TOKEN))), "page.tokens[0].name: must be 1 to 64"),
        (page(&format!("{anna}{}", token("anna", TOKEN))), "page.tokens[1].name: is the name of another"),
        (page("[[page.tokens]]\nname = 'Anna'"), "page.tokens[0].token: is missing"),
    ]);
    for good in [
        listen.to_owned(),
        "listen = '[::1]:0'".to_owned(),
        format!("listen = '0.0.0.0:9092'{anna}"),
        format!("public_url = 'https://connector.example.com'{anna}{}", token("Ümit Ö.", TOKEN)),
    ] {
        assert_eq!(message(&page(&good)), "", "{good}");
    }
}

#[test]
fn tokens_are_long_and_different_and_not_shown() {
    let loaded = |text: &str| load(&page(text), &[], &[]).unwrap();
    let two = loaded(&format!("{}{}", token("Anna", TOKEN), token("Ben", &TOKEN.repeat(2))));
    assert!(two.warnings.iter().any(|warning| warning.starts_with("page.tokens[1].token is in plain text")));
    assert!(!serde_json::to_string(&two.config).unwrap().contains(TOKEN));
    let named = two.config.page.named_tokens().unwrap();
    assert_eq!(named.iter().map(|named| named.name.as_str()).collect::<Vec<_>>(), ["Anna", "Ben"]);
    for (text, wanted) in [
        (token("Anna", &TOKEN[..23]), "page.tokens[0].token: is shorter than 24 characters"),
        (
            format!("{}{}", token("Anna", TOKEN), token("Ben", TOKEN)),
            "page.tokens[1].token: is also the token of \"Anna\"",
        ),
    ] {
        let error = loaded(&text).config.page.named_tokens().unwrap_err().to_string();
        assert!(error.starts_with(wanted) && !error.contains(&TOKEN[..23]), "{error}");
    }
}

#[test]
fn the_tokens_of_a_list_are_encrypted_anew_too() {
    let keys = keygen();
    let armour = encrypt(&keys.recipient, &secrecy::SecretString::from(TOKEN)).unwrap();
    for text in [
        format!("[[page.tokens]]\nname = 'Anna'\ntoken.encrypted = '''\n{armour}'''"),
        format!("page.tokens = [{{ name = 'Anna', token = {{ encrypted = '''\n{armour}''' }} }}]"),
    ] {
        // Without the identity, that it is tried shows.
        let error = rotate(&text, &keys.recipient).unwrap_err().to_string();
        assert!(error.starts_with("page.tokens[0].token: it is encrypted; set"), "{error}");
    }
}
