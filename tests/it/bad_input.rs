//! What the program says to wrong input: each row of the table in `docs/bad-input.md`, tried as a user would.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::documents::document;
use crate::harness::fleet::{PRODUCER, WORKER};
use crate::harness::{Bench, PROGRAM, Ran, quick};

/// A configuration without fault, of a portal that nobody runs.
const SOUND: &str = "[bynder]\ndomain = \"127.0.0.1:1\"\napi_token = { env = \"TOKEN\" }\nhash_metaproperty = \"imatag_hash\"\n\
                     [imatag]\napi_key = { env = \"KEY\" }\ndirectory = \"acme\"\n";

/// The longest that a program may take to say it.
const PATIENCE: Duration = Duration::from_secs(45);

/// One kind of bad input: how the sound configuration is spoilt, and what is typed.
struct Case {
    configuration: String,
    program: &'static str,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Case {
    fn typed(arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self { configuration: SOUND.to_owned(), program: PROGRAM, arguments, variables: Vec::new() }
    }

    /// The sound configuration with one thing in another's place.
    fn changed(from: &str, to: &str) -> Self {
        assert!(SOUND.contains(from), "{from}");
        Self { configuration: SOUND.replace(from, to), ..Self::typed("config check") }
    }

    /// The sound configuration with more at its end.
    fn with(more: &str) -> Self {
        Self { configuration: format!("{SOUND}{more}"), ..Self::typed("config check") }
    }

    /// With a variable of the environment.
    fn where_is(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The configuration of a real portal, with one thing in another's place.
    fn of(bench: &Bench, from: &str, to: &str, arguments: &str) -> Self {
        let text = std::fs::read_to_string(bench.path("connector.toml")).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        Self { configuration: text.replace(from, to), ..Self::typed(arguments) }
    }

    async fn run(&self) -> Ran {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("connector.toml"), &self.configuration).unwrap();
        let mut command = Command::new(self.program);
        command.args(&self.arguments).current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("TOKEN", "t").env("KEY", "k").envs(self.variables.iter().cloned());
        let ended = tokio::time::timeout(PATIENCE, command.output()).await;
        Ran::new(ended.unwrap_or_else(|_| panic!("{:?} does not end", self.arguments)).unwrap())
    }
}

fn in_the_file() -> Vec<(&'static str, Case)> {
    let (with, changed) = (Case::with, Case::changed);
    vec![
        ("a configuration file that is not there", Case::typed("config check --config nowhere.toml")),
        ("a file that is not TOML", changed("[bynder]", "[bynder")),
        ("a misspelt key", changed("domain", "domian")),
        ("a key that is like no other", with("[worker]\nxyz = 1\n")),
        ("a misspelt variable", Case::typed("config check").where_is("CONNECTOR_WORKER__CONCURENCY", "3")),
        ("a key that is missing", changed("hash_metaproperty = \"imatag_hash\"\n", "")),
        ("a word instead of a number", with("[worker]\nconcurrency = \"many\"\n")),
        ("a number out of bounds", with("[worker]\nconcurrency = 0\n")),
        ("an invalid duration", with("[worker]\ngrace = \"soon\"\n")),
        ("an invalid size", with("[filters]\nmin_size = \"big\"\n")),
        ("sizes that exclude each other", with("[filters]\nmin_size = \"2MiB\"\nmax_size = \"1MiB\"\n")),
        ("an invalid date", with("[filters]\ncreated = \"2024-13-01..\"\n")),
        (
            "a date range that ends before it begins",
            with("[filters]\ncreated = \"2024-05-01..2024-01-01\"\n"),
        ),
        ("an unknown asset type", with("[filters]\ntypes = [\"picture\"]\n")),
        ("a sample above the whole", with("[filters]\nsample = 2.0\n")),
        (
            "an invalid proxy address",
            Case::typed("config check").where_is("HTTPS_PROXY", "socks5h://u:p@proxy.example.com"),
        ),
        ("a portal without TLS", changed("127.0.0.1:1", "http://acme.bynder.com")),
        ("a portal with a path", changed("127.0.0.1:1", "https://acme.bynder.com/x")),
        ("a portal with a password", changed("127.0.0.1:1", "https://u:p@acme.bynder.com")),
        (
            "a token URL without TLS",
            changed(
                "api_key = { env = \"KEY\" }",
                "oauth = { client_id = \"a\", client_secret = \"b\", token_url = \"http://auth.example.com\" }",
            ),
        ),
        ("a webhook without TLS", with("[notify]\nwebhook = \"http://chat.example.com/hooks/1\"\n")),
        (
            "a token URL for Bynder",
            changed(
                "api_token = { env = \"TOKEN\" }",
                "oauth = { client_id = \"a\", client_secret = \"b\", token_url = \"https://auth.example.com\" }",
            ),
        ),
        (
            "an address instead of a storage host",
            changed("hash_meta", "storage_hosts = [\"https://files.example.com\"]\nhash_meta"),
        ),
        ("two ways to sign in", with("[bynder.oauth]\nclient_id = \"a\"\nclient_secret = \"b\"\n")),
        ("no way to sign in", changed("api_token = { env = \"TOKEN\" }\n", "")),
        ("a variable that is not set", changed("\"TOKEN\"", "\"UNSET_TOKEN\"")),
        ("a secret instead of a variable's name", changed("\"TOKEN\"", "\"s3cr3t\"")),
        (
            "a secret's file that is not there",
            changed("{ env = \"TOKEN\" }", "{ file = \"/dev/null/nowhere\" }"),
        ),
        ("an encrypted secret without a key", changed("{ env = \"TOKEN\" }", "{ encrypted = \"zzz\" }")),
        ("a secret without a source", changed("{ env = \"TOKEN\" }", "{ enviroment = \"X\" }")),
        ("a directory that climbs", changed("\"acme\"", "\"../other\"")),
        ("a directory for no asset", with("[[imatag.directories]]\ndirectory = \"acme/x\"\n")),
        ("a wire profile that is not there", with("profile = \"other\"\n")),
        (
            "credentials instead of a section",
            Case {
                configuration: format!("broker = \"amqp://u:p@h\"\n{SOUND}"),
                ..Case::typed("config check")
            },
        ),
        ("an invalid address", with("base_url = \"//u:p@host\"\n")),
        ("a base address with a query", with("base_url = \"https://imatag.example.com/?key=k\"\n")),
        ("an unknown output mode", with("[output]\nmode = \"replace\"\n")),
        ("a link with nothing to link", with("[output]\nlink_metaproperty = \"x\"\n")),
        ("a similarity above one", with("[checks]\nsimilarity = 7.0\n")),
        ("waits out of order", with("[queue]\nrungs = [\"5m\", \"1m\"]\n")),
        ("a prefix that the broker keeps for itself", with("[queue]\nprefix = \"amq.x\"\n")),
        ("a part that storage refuses", changed("hash_meta", "part_size = \"1KiB\"\nhash_meta")),
        ("an invalid cron expression", with("[producer]\ncron = \"daily\"\n")),
        ("two schedules", with("[producer]\ncron = \"0 1 * * *\"\nevery = \"5m\"\n")),
        ("an invalid time of day", with("[[quiet_hours]]\nfrom = \"25:00\"\nto = \"06:00\"\n")),
        (
            "an unknown time zone",
            with("[[quiet_hours]]\nfrom = \"22:00\"\nto = \"06:00\"\ntime_zone = \"Europe/Atlantis\"\n"),
        ),
        (
            "quiet hours with a higher budget",
            with("[[quiet_hours]]\nfrom = \"22:00\"\nto = \"06:00\"\nrequests_per_5_minutes = 5000\n"),
        ),
        ("an invalid broker URL", with("[broker]\nurl = \"http://localhost\"\n")),
        (
            "a broker on another machine without TLS",
            with("[broker]\nurl = \"amqp://u:p@rabbitmq.example.com\"\n"),
        ),
        ("an invalid listen address", with("[http]\nlisten = \"here\"\n")),
    ]
}

fn on_the_command_line() -> Vec<(&'static str, Case)> {
    let typed = Case::typed;
    vec![
        ("an unknown command", typed("synk")),
        ("options that exclude each other", typed("sync --full --delta")),
        ("an invalid time", typed("sync --since yesterday")),
        ("a filter without a value", typed("sync --filter types")),
        ("an unknown filter", typed("sync --filter colour=red")),
        ("an invalid sample", typed("verify --sample 2")),
        ("an invalid asset id", typed("restore --ids ../x --yes")),
        ("a restore without a selection", typed("restore --yes")),
        ("a leaked file that is not there", typed("lookup nowhere.jpg")),
        ("a file to try that is not there", typed("trial nowhere.jpg")),
        ("a first configuration in place of an existing one", typed("init")),
        ("a record that does not exist", typed("report RUN-1")),
        ("an unknown failure class", typed("failed list --class odd")),
        ("an empty secret", typed("secrets encrypt --recipient age1x")),
        ("no secret to rotate", typed("secrets rotate --recipient age1x")),
        ("an invalid log filter", typed("config check").where_is("CONNECTOR_LOG", "everything=loud")),
        ("a producer without a broker", Case { program: PRODUCER, ..typed("sync") }),
        (
            "a worker without a broker",
            // It looks at what is its own first.
            Case { program: WORKER, ..typed("--log-format text") }
                .where_is("CONNECTOR_HTTP__LISTEN", "127.0.0.1:0")
                .where_is("CONNECTOR_WORKER__SPOOL_DIR", "spool"),
        ),
    ]
}

fn at_the_services(bench: &Bench) -> Vec<(&'static str, Case)> {
    let announcement = bench.sandbox.announcement();
    let (token, key) = (&announcement.token, &announcement.api_key);
    let of = |from: &str, to: &str, typed: &str| Case::of(bench, from, to, typed);
    vec![
        ("an unknown run", of("", "", "report RUN-1")),
        ("a portal that does not answer", of(&announcement.bynder, "http://127.0.0.1:1", "plan")),
        ("a token that Bynder refuses", of(token, "wrong", "plan")),
        ("a key that Imatag refuses", of(&format!("api_key = '{key}'"), "api_key = 'wrong'", "doctor")),
        ("a hash metaproperty that is not there", of("imatag_hash", "imatag_hush", "plan")),
        ("a hash metaproperty that is not a text field", of("imatag_hash", "Country", "plan")),
        ("a brand that is not there", of("[worker]", "[filters]\nbrands = ['Acmee']\n[worker]", "plan")),
        ("an option that is not there", of("", "", "plan --filter metaproperties.Country=Frence")),
    ]
}

/// The rows of the table: what was wrong, what is said (`…` stands for any text), the exit code.
fn documented() -> BTreeMap<String, (String, i32)> {
    let page = document("docs/bad-input.md");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| input"));
    let rows = rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [wrong, said, code] = cells[..] else { panic!("{row}") };
        (
            wrong.to_owned(),
            (said.trim_start_matches('`').trim_end_matches('`').trim().to_owned(), code.parse().unwrap()),
        )
    });
    rows.collect()
}

fn says(talk: &str, said: &str) -> bool {
    let mut rest = talk;
    said.split('…').all(|piece| match rest.find(piece.trim()) {
        Some(at) => {
            rest = &rest[at + piece.trim().len()..];
            true
        }
        None => false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_bad_input_gets_the_words_and_the_exit_code_that_are_documented() {
    let bench = Bench::new(quick()).await;
    bench.sync().await.assert_code(0);
    let mut documented = documented();
    let mut wrong = Vec::new();
    for (name, case) in in_the_file().into_iter().chain(on_the_command_line()).chain(at_the_services(&bench))
    {
        let ran = case.run().await;
        let told = format!("{}{}", ran.out, ran.talk).split_whitespace().collect::<Vec<_>>().join(" ");
        let Some((said, code)) = documented.remove(name) else {
            wrong.push(format!("| {name} | `{told}` | {:?} |", ran.code));
            continue;
        };
        if ran.code != Some(code) || !says(&told, &said) {
            wrong.push(format!("| {name} | `{told}` | {:?} |", ran.code));
        }
    }
    assert!(wrong.is_empty(), "not as documented:\n{}", wrong.join("\n"));
    assert!(documented.is_empty(), "documented and not tried: {documented:#?}");
}
