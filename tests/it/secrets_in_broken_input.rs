//! A configuration or an answer that is broken around a secret is reported without it.

use sandbox::SECRET_MARK;
use sandbox::faults::{Action, Faults, Moment};
use secrecy::ExposeSecret;

use crate::harness::scene::every;
use crate::harness::{Bench, Ran, picture};
use crate::secrets::{SECRET_NUMBER, assert_silent_files, assert_silent_run, everything};

/// Runs a command and searches what it says, as text and as a program reads it.
async fn assert_silent_command(bench: &Bench, what: &str, command: &[&str]) -> Ran {
    let ran = bench.run_with(command, &[everything()]).await;
    assert_silent_run(&format!("{command:?} with {what}"), &ran);
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_broken_around_a_secret_is_refused_without_it() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let sound = std::fs::read_to_string(bench.path("connector.toml")).unwrap();
    let token = format!("api_token = '{}'", bench.sandbox.announcement().token);
    let imatag = "[imatag]\n";
    let base = format!("base_url = '{}'", bench.sandbox.announcement().imatag);
    for (from, to) in [
        (token.as_str(), format!("{token} oops")),
        (&token, format!("api_token = {SECRET_MARK}-word")),
        (&token, format!("api_token = \"{SECRET_MARK}")),
        (&token, format!("{token}\n{token}")),
        (&token, "api_token = null".to_owned()),
        (&token, format!("api_token = {SECRET_NUMBER}")),
        (&token, format!("api_token = ['{SECRET_MARK}']")),
        (&token, format!("api_token = {{ value = '{SECRET_MARK}' }}")),
        (&token, format!("oauth = '{SECRET_MARK}'")),
        (&token, format!("oauth = {{ client_id = 'c', client_secret = {SECRET_NUMBER} }}")),
        ("[queue]\n", format!("[broker]\nurl = {SECRET_NUMBER}\n[queue]\n")),
        ("[queue]\n", format!("[limits]\nassets_per_run = 'amqp://u:{SECRET_MARK}@h'\n[queue]\n")),
        (&base, format!("base_url = '//u:{SECRET_MARK}@host/'")),
        (&base, format!("base_url = 'https://u:{SECRET_MARK}@[host'")),
        (&base, format!("base_url = 'https://u:{SECRET_MARK}@host'")),
        (
            imatag,
            format!(
                "[imatag]\noauth = {{ client_id = 'c', client_secret = 's', token_url = '{SECRET_MARK}' }}\n"
            ),
        ),
        ("mode = 'async'", format!("base_url = 'u:{SECRET_MARK}@host'")),
        ("mode = 'async'", format!("auth = '{SECRET_MARK}'")),
        ("mode = 'async'", format!("mode = '{SECRET_MARK}'")),
    ] {
        assert!(sound.contains(from), "{from}");
        std::fs::write(bench.path("connector.toml"), sound.replacen(from, &to, 1)).unwrap();
        let checked = assert_silent_command(&bench, &to, &["config", "check"]).await;
        checked.assert_code(3);
        for command in [
            &["config", "show"][..],
            &["plan", "--log-format", "json"],
            &["doctor", "--json"],
            &["secrets", "rotate", "--recipient", "age1x"],
        ] {
            assert_silent_command(&bench, &to, command).await;
        }
    }
    // The identity in the recipient's place.
    let armour = config::encrypt(&config::keygen().recipient, &"word".to_owned().into()).unwrap();
    let encrypted = format!("api_token = {{ encrypted = \"\"\"\n{armour}\"\"\" }}");
    std::fs::write(bench.path("connector.toml"), sound.replacen(&token, &encrypted, 1)).unwrap();
    let identity = config::keygen().identity;
    let identity = ("CONNECTOR_AGE_IDENTITY", identity.expose_secret().to_owned());
    for recipient in [format!("AGE-SECRET-KEY-{SECRET_MARK}"), SECRET_NUMBER.to_owned()] {
        let arguments = ["secrets", "rotate", "--recipient", &recipient];
        let ran = bench.run_with(&arguments, std::slice::from_ref(&identity)).await;
        assert_silent_run("rotate", ran.assert_code(3));
        let mut encrypting = bench.command(&["secrets", "encrypt", "--recipient", &recipient]);
        encrypting.stdin(std::fs::File::open(bench.path("connector.toml")).unwrap());
        assert_silent_run("encrypt", &Ran::new(encrypting.output().await.unwrap()));
    }
    assert_silent_files(&bench.path(""));
}

/// What stands where an answer should hold a secret text.
fn broken_values() -> Vec<String> {
    let mut values: Vec<_> = [
        format!("//bucket.example/f?X-Amz-Signature={SECRET_MARK}-signature"),
        format!("/f?X-Amz-Signature={SECRET_MARK}-signature"),
        format!("https://{SECRET_MARK}:x/"),
        format!("ftp://{SECRET_MARK}@storage.example/"),
        format!("https://u:{SECRET_MARK}@storage.invalid/f"),
    ]
    .iter()
    .map(|text| serde_json::json!(text).to_string())
    .collect();
    values.extend(["null".to_owned(), SECRET_NUMBER.to_owned(), format!("-{SECRET_NUMBER}.5")]);
    values.push(format!("[\"{SECRET_MARK}\"]"));
    values.push(format!("{{\"key\": \"{SECRET_MARK}\"}}"));
    values.push(format!("\"{SECRET_MARK}"));
    values
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_broken_around_a_secret_is_reported_without_it() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let announcement = bench.sandbox.announcement();
    bench.configure_imatag(
        &format!(
            "directory = '{}'\nbase_url = '{}'\noauth = {{ client_id = '{}', client_secret = '{}', \
             token_url = 'http://{}/wire-c/token' }}\n[imatag.profile_overrides]\nmode = 'async'",
            announcement.directory,
            announcement.imatag,
            announcement.client_id,
            announcement.client_secret,
            bench.sandbox.address(),
        ),
        "",
    );
    bench.reconfigure(
        &format!("api_token = '{}'", announcement.token),
        &format!(
            "oauth = {{ client_id = '{}', client_secret = '{}' }}",
            announcement.client_id, announcement.client_secret
        ),
    );
    let quick_end = [everything(), ("CONNECTOR_WORKER__MAX_ATTEMPTS", "1".to_owned())];
    let file = bench.path("sample.jpg");
    std::fs::write(&file, sample_files::file(sample_files::Format::Jpeg, 9, 64, 48)).unwrap();
    let file = file.display().to_string();
    let sync = ["sync", "--full", "--retry-failed", "--json"];
    let trial = ["trial", file.as_str(), "--yes"];
    let place =
        "{\"s3file\":{\"uploadid\":\"u\",\"targetid\":\"t\"},\"s3_filename\":\"f\",\"multipart_params\":@}";
    for (endpoint, body, command) in [
        ("bynder.download", "{\"s3_file\":@}", &sync[..]),
        ("bynder.upload_endpoint", "@", &sync),
        ("bynder.upload_init", place, &sync),
        ("bynder.token", "{\"access_token\":@,\"expires_in\":3600}", &["doctor"]),
        ("imatag.token", "{\"access_token\":@,\"token_type\":@}", &["doctor"]),
        ("imatag.find", "{\"results\":[],\"next\":@}", &trial),
        ("imatag.status", "{\"id\":\"m\",\"status\":@}", &trial),
        ("imatag.download", "{\"url\":@}", &trial),
    ] {
        for value in broken_values() {
            for content_type in ["application/json", "text/plain"] {
                let body = body.replace('@', &value);
                let action =
                    Action::Answer { status: 200, body: body.clone(), content_type: content_type.to_owned() };
                bench.sandbox.set_faults(every(endpoint, Moment::Before, action));
                let ran = bench.run_with(command, &quick_end).await;
                assert_silent_run(&format!("{endpoint} with {content_type} {body}"), &ran);
            }
        }
    }
    // A refusal that holds a token all the same, and a link that nobody asked for.
    let token = format!("{SECRET_MARK}-0123456789abcdef");
    for endpoint in ["bynder.token", "imatag.token", "bynder.asset", "imatag.submit"] {
        for body in [
            format!("{{\"access_token\":\"{token}\"}}"),
            format!("{{\"error\":\"no\",\"message\":\"no {token}, see f?X-Amz-Signature={SECRET_MARK}\"}}"),
            format!("<Error><Code>No</Code><Token>{token}</Token></Error>"),
            format!("see https:&#x2F;&#x2F;a.example&#x2F;f?sig={SECRET_MARK}%20{token}"),
        ] {
            let content_type = "application/json".to_owned();
            let action = Action::Answer { status: 400, body: body.clone(), content_type };
            bench.sandbox.set_faults(every(endpoint, Moment::Before, action));
            for command in [&["doctor"][..], &sync, &trial] {
                let ran = bench.run_with(command, &quick_end).await;
                assert_silent_run(&format!("{endpoint} refuses with {body}"), &ran);
            }
        }
    }
    bench.sandbox.set_faults(Faults::default());
    for command in [
        "failed list --json",
        "failed show --json",
        "report --since 2020-01-01 --format json",
        "status --json",
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        assert_silent_command(&bench, "broken answers", &arguments).await;
    }
    assert_silent_files(&bench.path(""));
    // A relative link of Imatag's stays at its origin: that its address holds a signature is right.
}
