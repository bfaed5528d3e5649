mod modes;
mod page;
mod secrets;

use std::path::PathBuf;

use super::*;

const SAMPLE: &str = r#"
delta = true
[bynder]
domain = "acme.bynder.com"
api_token = { env = "BYNDER_TOKEN" }
hash_metaproperty = "imatag_hash"
requests_per_5_minutes = 4000
index_lag = "60s"
egress_group = "default"
[imatag]
api_key = { env = "IMATAG_API_KEY" }
directory = "acme/bynder"
media_id_metadata = "bynder_media_id"
base_url = "https://app.imatag.com/api/v3"
profile = "imatag"
[filters]
types = ["image"]
[output]
mode = "version"
[broker]
url = { env = "CONNECTOR_BROKER_URL" }
[worker]
concurrency = 16
spool_dir = "/var/tmp/connector"
request_timeout = "60s"
max_attempts = 12
[queue]
prefix = "connector"
rungs = ["1s", "2s", "5s", "10s", "20s", "1m", "2m", "10m", "1h"]
[limits]
[marker]
legacy = "original"
[producer]
every = "15m"
state_dir = "state"
[http]
listen = "127.0.0.1:9090"
"#;

fn load(text: &str, environment: &[(&str, &str)], overrides: &[Override]) -> Result<Loaded, ConfigError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("connector.toml");
    std::fs::write(&path, text).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_layers(Layers::read(Some(&path), Chosen::Named, environment.collect(), overrides)?)
}

fn message(text: &str) -> String {
    load(text, &[], &[]).map_or_else(|error| error.to_string(), |_| String::new())
}

/// Each text is refused with an error that contains these words.
fn assert_refused(table: &[(String, &str)]) {
    for (text, wanted) in table {
        let message = message(text);
        assert!(message.contains(wanted), "wanted {wanted:?}\n   got {message:?}");
    }
}

#[test]
fn the_documented_sample_is_read_and_equals_the_defaults() {
    // By default, the number of steps at once is chosen as they run.
    let sample = load(&SAMPLE.replace("concurrency = 16\n", ""), &[], &[]).unwrap();
    assert_eq!(sample.warnings, Vec::<String>::new());
    let short = r#"
        bynder = { domain = "acme.bynder.com", api_token = { env = "BYNDER_TOKEN" }, hash_metaproperty = "imatag_hash" }
        imatag = { api_key = { env = "IMATAG_API_KEY" }, directory = "acme/bynder", base_url = "https://app.imatag.com/api/v3" }
        filters = { types = ["image"] }
        producer = { every = "15m" }
        broker = { url = { env = "CONNECTOR_BROKER_URL" } }"#;
    let short = load(short, &[], &[]).unwrap();
    assert_eq!(format!("{:?}", sample.config), format!("{:?}", short.config));
}

#[test]
fn each_bad_value_names_its_key_and_the_remedy() {
    let with = |from: &str, to: &str| SAMPLE.replace(from, to);
    let quiet = |more: &str| format!("{SAMPLE}\n[[quiet_hours]]\nfrom = '08:00'\nto = '18:00'\n{more}");
    let table = [
        (with("domain =", "domian ="), "unknown key bynder.domian; did you mean bynder.domain?"),
        (with("delta = true", "dleta = true"), "unknown key dleta; did you mean delta?"),
        (with("[worker]", "[workers]"), "unknown key workers; did you mean worker?"),
        (
            with("hash_metaproperty = \"imatag_hash\"", ""),
            "bynder.hash_metaproperty: is missing; write hash_metaproperty = … under [bynder]",
        ),
        (
            with("concurrency = 16", "concurrency = \"many\""),
            "worker.concurrency: invalid type: string, expected a whole number",
        ),
        (with("concurrency = 16", "concurrency = 0"), "worker.concurrency: must be from 1 to 1024"),
        (
            with("requests_per_5_minutes = 4000", "requests_per_5_minutes = 0"),
            "bynder.requests_per_5_minutes: invalid value",
        ),
        (with("\"60s\"\nmax", "\"soon\"\nmax"), "worker.request_timeout: \"soon\" is not a duration"),
        (with("types = [\"image\"]", "types = \"image\""), "filters.types: invalid type"),
        (
            with("mode = \"version\"", "mode = \"version\"\nlink_metaproperty = \"Original\""),
            "output.link_metaproperty: is only for mode = \"copy\"",
        ),
        (with("mode = \"version\"", "mode = \"replace\""), "output.mode: unknown variant"),
        (with("acme.bynder.com", "http://acme.bynder.com"), "bynder.domain: must use https"),
        (
            with("acme.bynder.com", "https://user:word@acme.bynder.com"),
            "bynder.domain: must hold no user and no password",
        ),
        (with("acme.bynder.com", "acme.bynder.com/api"), "bynder.domain: must be the portal's address alone"),
        (with("acme.bynder.com", "not a host"), "bynder.domain: is not a host name"),
        (with("api_token = { env = \"BYNDER_TOKEN\" }", ""), "bynder.api_token: is missing"),
        (
            with("api_token", "oauth = { client_id = \"a\", client_secret = \"b\" }\napi_token"),
            "bynder.api_token: is set together with [bynder.oauth]",
        ),
        (with("{ env = \"BYNDER_TOKEN\" }", "{ environment = \"X\" }"), "bynder.api_token: expected { env"),
        (with("\"acme/bynder\"", "\"../other\""), "imatag.directory: must be a plain path"),
        (with("\"acme/bynder\"", "\"\""), "imatag.directory: is empty"),
        (with("prefix = \"connector\"", "prefix = \"amq.x\""), "queue.prefix: must be 1 to 64 letters"),
        (
            with("egress_group = \"default\"", "egress_group = \"operator\""),
            "bynder.egress_group: is what a person's pause is called",
        ),
        (with("\"5s\", \"10s\"", "\"10s\", \"5s\""), "queue.rungs: must be ascending"),
        (
            with(
                "rungs = [\"1s\", \"2s\", \"5s\", \"10s\", \"20s\", \"1m\", \"2m\", \"10m\", \"1h\"]",
                "rungs = [\"5s\"]",
            ),
            "queue.rungs: one must be longer than worker.request_timeout",
        ),
        (with("legacy = \"original\"", "legacy = \"maybe\""), "marker.legacy: unknown variant"),
        (
            with("listen = \"127.0.0.1:9090\"", "listen = \"everywhere\""),
            "http.listen: is not a listen address",
        ),
        (with("[limits]", "[checks]\nsimilarity = 95\n[limits]"), "checks.similarity: must be from 0 to 1"),
        (with("[limits]", "[checks]\nicc = true\n[limits]"), "unknown key checks.icc"),
        (with("max_attempts = 12", "max_attempts = 0"), "worker.max_attempts: must be at least 1"),
        (
            with("profile = \"imatag\"", "uploads_in_flight = 0"),
            "imatag.uploads_in_flight: must be from 1 to 1024",
        ),
        (
            with("egress_group = \"default\"", "parts_at_once = 0"),
            "bynder.parts_at_once: must be from 1 to 16",
        ),
        (quiet("backlog = 'stop'"), "quiet_hours[0].backlog: unknown variant, expected `pause`"),
        (quiet(""), "quiet_hours[0]: changes nothing; write requests_per_5_minutes"),
        (quiet("backlog = 'pause'\ndays = []"), "quiet_hours[0].days: is empty"),
        (
            quiet("backlog = 'pause'\ndays = ['monday']"),
            "quiet_hours[0].days[0]: unknown variant, expected one of `mon`",
        ),
        (
            quiet("requests_per_5_minutes = 4400"),
            "quiet_hours[0].requests_per_5_minutes: 4400 is above bynder.requests_per_5_minutes, which is 4000",
        ),
        (quiet("requests_per_5_minutes = 0"), "quiet_hours[0].requests_per_5_minutes: invalid value"),
        (
            quiet("time_zone = 'Europe/Pariss'"),
            "quiet_hours[0].time_zone: \"Europe/Pariss\" is not a time zone; write an IANA name",
        ),
        (
            quiet("backlog = 'pause'").replace("08:00", "8 am"),
            "quiet_hours[0].from: \"8 am\" is not a time of day; write for example \"08:00\"",
        ),
        (
            quiet("backlog = 'pause'").replace("18:00", "24:00"),
            "quiet_hours[0].to: \"24:00\" is not a time of day",
        ),
        (quiet("backlog = 'pause'\nuntil = 1"), "unknown key quiet_hours[0].until"),
        ("bynder".to_owned(), "is not valid TOML"),
    ];
    assert_refused(&table);
}

#[test]
fn a_secret_in_the_wrong_place_is_not_quoted() {
    let secret = "s3cr3t-value-0123456789abc";
    let with = |from: &str, to: &str| SAMPLE.replace(from, to);
    let quiet = |more: &str| format!("{SAMPLE}\n[[quiet_hours]]\nfrom = '08:00'\nto = '18:00'\n{more}");
    let table = [
        (with("[limits]", &format!("[checks]\n{secret} = 1\n[limits]")), "unknown key checks.…"),
        (format!("{SAMPLE}\n[{secret}]"), "unknown key …"),
        (with("domain =", &format!("{secret} =")), "unknown key bynder.…"),
        (quiet(&format!("{secret} = 1")), "unknown key quiet_hours[0].…"),
        (
            quiet("backlog = 'pause'").replace("08:00", secret),
            "quiet_hours[0].from: \"…\" is not a time of day",
        ),
        (quiet(&format!("time_zone = '{secret}'")), "quiet_hours[0].time_zone: \"…\" is not a time zone"),
        (
            with("[filters]", &format!("[filters]\ncreated = '{secret}'")),
            "filters.created: \"…\" is not a date range",
        ),
        (
            with("[worker]", &format!("[worker]\nstep_deadline = '{secret}'")),
            "worker.step_deadline: \"…\" is not a duration",
        ),
    ];
    assert_refused(&table);
    for overrides in [format!("{secret} = 1"), format!("response = {{ id = '{secret}' }}")] {
        let said = imatag::Profile::load("imatag", &overrides.parse().unwrap()).unwrap_err().to_string();
        assert!(said.contains('…') && !said.contains("s3cr3t"), "{said}");
    }
    let said = imatag::Profile::load(secret, &toml::Table::new()).unwrap_err().to_string();
    assert!(said.contains("the wire profile …:"), "{said}");
}

#[test]
fn each_setting_that_would_do_harm_is_refused() {
    let with = |from: &str, to: &str| SAMPLE.replace(from, to);
    let table = [
        (
            with("index_lag", "status_metaproperty = \"imatag_hash\"\nindex_lag"),
            "bynder.status_metaproperty: is the same as bynder.hash_metaproperty; create another",
        ),
        (
            with("mode = \"version\"", "mode = \"copy\"\nlink_metaproperty = \"imatag_hash\""),
            "output.link_metaproperty: is the same as bynder.hash_metaproperty",
        ),
        (
            with("\"bynder_media_id\"", "\"original_sha256\""),
            "imatag.media_id_metadata: must be a name of its own",
        ),
        (with("\"bynder_media_id\"", "\"\""), "imatag.media_id_metadata: must be a name of its own"),
        (with("every = \"15m\"", "every = \"1ns\""), "producer.every: must be at least 1s"),
        (
            with("max_attempts", "longest_wait = \"0s\"\nmax_attempts"),
            "worker.longest_wait: must be greater than",
        ),
        (with("index_lag = \"60s\"", "index_lag = \"99d\""), "bynder.index_lag: must be at most 1h"),
        (
            with("index_lag = \"60s\"", "index_lag = \"16m\""),
            "producer.overlap: is shorter than bynder.index_lag",
        ),
        (with("every = \"15m\"", "overlap = \"59s\""), "producer.overlap: is shorter than bynder.index_lag"),
        (with("rungs", "longest_hold = \"30m\"\nrungs"), "queue.longest_hold: must be below 30m"),
        (with("\"1s\", \"2s\"", "\"0s\", \"2s\""), "queue.rungs: must all be greater than zero"),
        (with("every = \"15m\"", "full_every = \"0s\""), "producer.full_every: must be at least 1s"),
        (with("https://app", "https://me:word@app"), "imatag.base_url: must hold no user and no password"),
    ];
    assert_refused(&table);
}

#[test]
fn quiet_hours_are_read_and_shown_as_they_were_written() {
    let written = r#"{"days":["sat","sun"],"from":"22:00","to":"06:30","time_zone":"Europe/Paris","requests_per_5_minutes":1000,"backlog":"pause"}"#;
    let entry: QuietHours = serde_json::from_str(written).unwrap();
    assert_eq!(serde_json::to_string(&entry).unwrap(), written);
    let short: QuietHours = toml::from_str("from = '08:00'\nto = '18:00'").unwrap();
    assert_eq!((short.days.len(), short.time_zone), (7, Zone::default()));
}

#[test]
fn environment_and_command_line_lie_over_the_file() {
    let environment = [
        ("CONNECTOR_WORKER__CONCURRENCY", "4"),
        ("CONNECTOR_BYNDER__DOMAIN", "other.bynder.com"),
        ("CONNECTOR_FILTERS__TYPES", "[\"video\"]"),
        ("CONNECTOR_DELTA", "false"),
        ("CONNECTOR_AGE_IDENTITY", "not a key of the configuration"),
    ];
    let overrides = [Override { key: "worker.concurrency".to_owned(), value: 5.into() }];
    let loaded = load(SAMPLE, &environment, &overrides).unwrap();
    assert_eq!(loaded.config.worker.concurrency, Some(5));
    assert_eq!(loaded.config.bynder.domain, "other.bynder.com");
    assert_eq!(loaded.config.filters.types, [common::asset::AssetType::Video]);
    assert!(!loaded.config.delta);
    let origin = |key: &str| {
        loaded.origins.iter().find(|(known, _)| known == key).map(|(_, origin)| origin.to_string())
    };
    assert_eq!(origin("worker.concurrency").as_deref(), Some("command line"));
    assert_eq!(origin("bynder.domain").as_deref(), Some("CONNECTOR_BYNDER__DOMAIN"));
}

#[test]
fn a_file_that_is_no_toml_is_located_and_not_shown() {
    let text = SAMPLE.replace("{ env = \"BYNDER_TOKEN\" }", "\"a secret");
    let message = message(&text);
    assert!(
        message.contains("is not valid TOML: line 5, column ") && !message.contains("secret"),
        "{message}"
    );
}

#[test]
fn a_variable_that_lacks_an_underscore_is_told() {
    let environment = [
        ("CONNECTOR_LIMITS_ASSETS_PER_RUN", "5"),
        ("CONNECTOR_BROKER_URL", "where the file takes a secret from"),
        ("CONNECTOR_IMATAG__API_KEY", "{ env = 'CONNECTOR_IMATAG_KEY' }"),
        ("CONNECTOR_IMATAG_KEY", "where another variable takes a secret from"),
        ("CONNECTOR_LOG", "debug"),
        ("CONNECTOR_QUIET_HOURS", "[{ from = '08:00', to = '18:00', backlog = 'pause' }]"),
    ];
    let loaded = load(SAMPLE, &environment, &[]).unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "the variable CONNECTOR_LIMITS_ASSETS_PER_RUN is not read; did you mean CONNECTOR_LIMITS__ASSETS_PER_RUN?"
        ]
    );
    assert_eq!(loaded.config.quiet_hours.len(), 1);
}

#[test]
fn every_section_is_known_by_its_variables() {
    let shown = serde_json::to_value(load(SAMPLE, &[], &[]).unwrap().config).unwrap();
    let sections = shown.as_object().unwrap().iter().filter(|(_, value)| value.is_object());
    for section in sections.map(|(name, _)| name.to_uppercase()) {
        let loaded = load(SAMPLE, &[(&format!("CONNECTOR_{section}_KEY"), "1")], &[]).unwrap();
        let meant = format!("did you mean CONNECTOR_{section}__KEY?");
        assert!(
            loaded.warnings.iter().any(|warning| warning.ends_with(&meant)),
            "{section}: {:?}",
            loaded.warnings
        );
    }
}

#[test]
fn an_unknown_variable_is_an_error_like_an_unknown_key() {
    let error = load(SAMPLE, &[("CONNECTOR_WORKER__CONCURENCY", "4")], &[]).unwrap_err();
    assert_eq!(error.to_string(), "unknown key worker.concurency; did you mean worker.concurrency?");
}

#[test]
fn plain_http_to_another_machine_has_to_be_asked_for_at_each_service() {
    let plain = SAMPLE.replace("acme.bynder.com", "http://sandbox:8080").replace("https://app", "http://app");
    let bynder = "hash_metaproperty = ";
    let imatag = "media_id_metadata = ";
    let allowed = |text: &str, at: &str| text.replace(at, &format!("allow_http = true\n{at}"));
    assert!(message(&plain).contains("bynder.domain: must use https"));
    let half = allowed(&plain, bynder);
    assert!(message(&half).contains("imatag.base_url: must use https"));
    assert_eq!(message(&allowed(&half, imatag)), "");
}
