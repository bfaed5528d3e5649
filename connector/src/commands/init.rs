//! `connector init`: writes a commented configuration, from flags or from answers at the terminal.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use config::{Config, OutputMode};
use files::private;
use files::written::{self, Chosen, Doubt};
use rabbitmq::MessageKeys;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::arguments::Init;
use crate::confirm::{ask, can_ask};

/// The values for the file.
struct Answers {
    domain: String,
    hash_metaproperty: String,
    directory: String,
    types: Vec<String>,
    mode: OutputMode,
    secrets_in: Option<PathBuf>,
    /// With a broker: the file with the key that signs messages.
    message_key: Option<PathBuf>,
}

pub(crate) fn run(global: &GlobalOptions, init: Init) -> Result<(), Failure> {
    let path = global.config.clone().unwrap_or_else(|| wiring::DEFAULT_FILE.into());
    if path.exists() && !init.force {
        return Err(Failure::Usage(format!(
            "{} exists already and is not changed; name another file with --config, or pass --force",
            path.display()
        )));
    }
    let force = init.force;
    let answers = answers(init, &path)?;
    let text = written(&answers);
    Config::parse(&text).map_err(|error| Failure::Usage(error.to_string()))?;
    if let Some(key) = &answers.message_key {
        make_key(key)?;
    }
    let written = if force {
        private::replace(&path, text.as_bytes(), None)
    } else {
        // Does not overwrite a file written in the meantime.
        private::create_named(&path).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
    };
    written.map_err(|error| Failure::Usage(format!("cannot write {}: {error}", path.display())))?;
    if global.json {
        output::json(&json!({"written": path}));
    } else {
        output::data(&format!("written: {}", path.display()));
        output::talk(&next_steps(&answers));
    }
    Ok(())
}

/// Generates the message key, unless the file exists, since other processes may sign with it. A folder that exists only
/// on another machine is not an error: the next steps say what belongs there.
fn make_key(path: &Path) -> Result<(), Failure> {
    let failed = |what: &str, error: &dyn Display| {
        Failure::Usage(format!("{what} for broker.message_key, {}: {error}", path.display()))
    };
    let made = private::create_named(path).and_then(|mut file| {
        file.write_all(MessageKeys::generate().expose_secret().as_bytes())?;
        file.sync_all()
    });
    match made.map_err(|error| (error.kind(), error)) {
        Ok(()) | Err((ErrorKind::NotFound, _)) => Ok(()),
        // Another user may have put the file there, or moved a file of this one there.
        Err((ErrorKind::AlreadyExists, _)) => match unmoved(path) {
            Ok(doubt) => {
                if let Some(doubt) = doubt {
                    output::warning(&format!("{}: {doubt}", path.display()));
                }
                Ok(())
            }
            Err(error) => Err(failed("not used is the file that is there already", &error)),
        },
        Err((_, error)) => Err(failed("cannot write a key", &error)),
    }
}

/// Checks a file that exists; returns what is doubtful about it.
fn unmoved(path: &Path) -> Result<Option<Doubt>, String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    private::unshared(folder).map_err(|error| error.to_string())?;
    written::check(path, Chosen::Found).map_err(|error| error.to_string())
}

fn answers(init: Init, config: &Path) -> Result<Answers, Failure> {
    let folder = init.secrets_in.as_deref().or_else(|| config.parent()).unwrap_or(Path::new(""));
    let message_key = init.broker.then(|| folder.join("message_key"));
    let domain = wanted(init.domain, "--domain", "Bynder portal, such as acme.bynder.com", None)?;
    let default = Some("imatag_hash");
    let field = "Name of the text metaproperty for the hash";
    let hash_metaproperty = wanted(init.hash_metaproperty, "--hash-metaproperty", field, default)?;
    let place = "Imatag directory; it starts with your homedir, such as acme/bynder";
    let directory = wanted(init.imatag_directory, "--imatag-directory", place, None)?;
    Ok(Answers {
        domain,
        hash_metaproperty,
        directory,
        types: if init.types.is_empty() { vec!["image".to_owned()] } else { init.types },
        mode: init.mode.map_or(OutputMode::Version, Into::into),
        secrets_in: init.secrets_in,
        message_key,
    })
}

/// The given value, or a person's answer; the default without a terminal.
fn wanted(
    given: Option<String>,
    flag: &str,
    question: &str,
    default: Option<&str>,
) -> Result<String, Failure> {
    if let Some(given) = given {
        return Ok(given);
    }
    if can_ask() {
        return ask(question, default);
    }
    default.map(str::to_owned).ok_or_else(|| {
        Failure::Usage(format!(
            "{flag} is missing, and standard input is not a terminal to ask at ({question})"
        ))
    })
}

/// The configuration file, with a comment on each line.
fn written(answers: &Answers) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let secret = |variable: &str, name: &str| match &answers.secrets_in {
        Some(folder) => format!("{{ file = {} }}", quoted(&folder.join(name).display().to_string())),
        None => format!("{{ env = {} }}", quoted(variable)),
    };
    let types: Vec<String> = answers.types.iter().map(|kind| quoted(kind)).collect();
    let broker = answers.message_key.as_ref().map_or_else(String::new, |key| {
        format!(
            "\n[broker]                                      # for producer and worker; amqps://, with credentials\n\
             url = {}\n\
             # Signs the fleet's messages: give every process this configuration and the same file.\n\
             message_key = {{ file = {} }}\n",
            secret("CONNECTOR_BROKER_URL", "broker"),
            quoted(&key.display().to_string())
        )
    });
    format!(
        "# Every key is in docs/configuration.md; `connector config show` prints each value and its source.\n\
         \n\
         [bynder]\n\
         domain = {}\n\
         # A permanent token; its scopes and its user's roles are in docs/bynder-setup.md.\n\
         api_token = {}\n\
         # A text metaproperty, editable, with \"API field\" switched on. The connector alone writes it.\n\
         hash_metaproperty = {}\n\
         # Of Bynder's 4500 in five minutes from one address; leave something to people and other software.\n\
         requests_per_5_minutes = 4000\n\
         \n\
         [imatag]\n\
         api_key = {}\n\
         # Where media are kept at Imatag; starts with the account's homedir.\n\
         directory = {}\n\
         \n\
         [filters]                                     # all of them have to hold; `connector plan` shows what matches\n\
         types = [{}]\n\
         \n\
         [output]\n\
         # \"version\": a new version of the asset; \"copy\" or \"additional\": the original stays as it is (docs/modes.md)\n\
         mode = {}\n\
         \n\
         [limits]                                      # each watermark is paid for\n\
         # assets_per_run = 1000\n\
         # assets_per_day = 100000\n\
         {broker}",
        quoted(&answers.domain),
        secret("BYNDER_TOKEN", "bynder"),
        quoted(&answers.hash_metaproperty),
        secret("IMATAG_API_KEY", "imatag"),
        quoted(&answers.directory),
        types.join(", "),
        quoted(answers.mode.name())
    )
}

fn next_steps(answers: &Answers) -> String {
    let secrets = match &answers.secrets_in {
        Some(folder) => format!(
            "put the secrets into {0}/bynder and {0}/imatag, readable by the connector alone",
            folder.display()
        ),
        None => "set BYNDER_TOKEN and IMATAG_API_KEY".to_owned(),
    };
    let key = answers.message_key.as_ref().map_or_else(String::new, |key| {
        let shown = key.display();
        if key.exists() {
            format!(" Messages are signed by the key in {shown}: every process of the fleet needs it.")
        } else {
            format!(" Put a key for messages into {shown}, the same for every process; `openssl rand -hex 32` makes one.")
        }
    });
    format!(
        "Next: {secrets}; then `connector doctor`, `connector trial FILE`, `connector plan --full`, and \
         `connector sync --full --max-assets 1`.{key}"
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn answers() -> Answers {
        Answers {
            domain: "acme.bynder.com".to_owned(),
            hash_metaproperty: "imatag_hash".to_owned(),
            directory: "acme/by\"nder".to_owned(),
            types: vec!["image".to_owned(), "video".to_owned()],
            mode: OutputMode::Copy,
            secrets_in: None,
            message_key: Some("message_key".into()),
        }
    }

    #[test]
    fn a_key_in_a_folder_into_which_others_can_move_files_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("message_key");
        make_key(&key).unwrap();
        make_key(&key).unwrap();
        for mode in [0o777, 0o1777] {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode)).unwrap();
            assert!(make_key(&key).is_err(), "{mode:o}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        for secrets_in in [None, Some(PathBuf::from("/run/secrets"))] {
            let answers = Answers { secrets_in, ..answers() };
            let text = written(&answers);
            let config = Config::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(config.imatag.directory.as_str(), answers.directory);
            assert_eq!(config.bynder.hash_metaproperty, answers.hash_metaproperty);
            assert_eq!(config.output.mode, OutputMode::Copy);
            assert!(config.broker.is_some() && text.contains("# assets_per_run"), "{text}");
        }
    }
}
