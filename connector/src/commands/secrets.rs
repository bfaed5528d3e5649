//! `connector secrets keygen | encrypt | rotate`.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;

use cli::options::GlobalOptions;
use cli::output;
use cli::signals;
use common::failure::Failure;
use config::{ConfigError, encrypt, keygen, rotate};
use files::private;
use files::written::{self, NotRead};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::arguments::Secrets;
use crate::files::replace;

/// The longest secret, in bytes.
const LONGEST: u64 = 64 << 10;

pub(crate) async fn run(global: &GlobalOptions, command: &Secrets) -> Result<(), Failure> {
    match command {
        Secrets::Keygen { output: Some(path) } => keygen_into(global, path)?,
        Secrets::Keygen { output: None } => {
            let keys = keygen();
            // The only place that prints a secret, since that is the purpose of this command.
            if global.json {
                let line = json!({"identity": keys.identity.expose_secret(), "recipient": keys.recipient});
                output::json(&line);
            } else {
                if output::is_file_open_to_others() {
                    output::warning(
                        "other users can read the file that the identity is written to; --output makes one that they cannot",
                    );
                }
                output::talk(
                    "Keep the identity where only the connector can read it (CONNECTOR_AGE_IDENTITY_FILE).",
                );
                output::data(&format!("# recipient: {}", keys.recipient));
                output::data(keys.identity.expose_secret());
            }
        }
        Secrets::Encrypt { recipient } => {
            let secret = given().await?;
            let secret = SecretString::from(secret.trim_end_matches(['\r', '\n']));
            if secret.expose_secret().len() as u64 > LONGEST {
                return Err(Failure::Usage(
                    "standard input is longer than 64 KiB, which no secret is".to_owned(),
                ));
            }
            if secret.expose_secret().is_empty() {
                return Err(Failure::Usage(
                    "standard input is empty; pipe the secret into this command".to_owned(),
                ));
            }
            let armour = encrypt(recipient, &secret).map_err(Failure::Usage)?;
            if global.json {
                output::json(&json!({"encrypted": armour}));
            } else {
                output::data("{ encrypted = \"\"\"");
                armour.lines().for_each(output::data);
                output::data("\"\"\" }");
            }
        }
        Secrets::Rotate { recipient } => rotate_file(global, recipient)?,
    }
    Ok(())
}

/// Reads the secret from standard input. A terminal does not echo it, and is restored afterwards, even if a signal ends
/// the process.
async fn given() -> Result<String, Failure> {
    let cannot = |error| Failure::Usage(format!("cannot read the secret from standard input: {error}"));
    let unseen = std::io::stdin().is_terminal().then(Unseen::begin).transpose().map_err(cannot)?;
    let is_typed = unseen.is_some();
    let stop = is_typed.then(signals::stop_on_signals).transpose()?.unwrap_or_default();
    if is_typed {
        // A suspended process would leave the terminal without echo.
        signals::ignore_suspension()?;
        output::talk("Type the secret and press Enter; it is not shown.");
    }
    let reading = tokio::task::spawn_blocking(move || {
        let mut secret = String::new();
        let input = std::io::stdin().lock();
        let mut input = input.take(LONGEST + 1);
        let read = if is_typed { input.read_line(&mut secret) } else { input.read_to_string(&mut secret) };
        read.map(|_| secret)
    });
    tokio::select! {
        read = reading => read.map_err(std::io::Error::other).flatten().map_err(cannot),
        () = stop.cancelled() => Err(Failure::Temporary("no secret was typed".to_owned())),
    }
}

/// A terminal without echo, until dropped.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> std::io::Result<Self> {
        let shown = tcgetattr(std::io::stdin())?;
        let mut unseen = shown.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(std::io::stdin(), SetArg::TCSAFLUSH, &unseen)?;
        Ok(Self(shown))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.0);
    }
}

fn keygen_into(global: &GlobalOptions, path: &Path) -> Result<(), Failure> {
    let keys = keygen();
    let text = format!("# recipient: {}\n{}\n", keys.recipient, keys.identity.expose_secret());
    let written = private::create_named(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::Usage(format!("--output: cannot make {}: {error}; name a new file", path.display()))
    })?;
    if global.json {
        output::json(&json!({"written": path, "recipient": keys.recipient}));
    } else {
        output::talk(&format!("The identity is in {} (CONNECTOR_AGE_IDENTITY_FILE).", path.display()));
        output::data(&keys.recipient);
    }
    Ok(())
}

fn rotate_file(global: &GlobalOptions, recipient: &str) -> Result<(), Failure> {
    let (path, chosen) = wiring::file(global.config.as_deref());
    let (text, doubt) = written::read_to_string(path, chosen).map_err(|error| match error {
        NotRead::Doubtful(doubt) => Failure::from(ConfigError::Doubt { path: path.to_owned(), doubt }),
        NotRead::Failed(error) => Failure::Configuration(format!("cannot read {}: {error}", path.display())),
    })?;
    if let Some(doubt) = doubt.filter(|_| !global.quiet) {
        output::warning(&format!("{}: {doubt}", path.display()));
    }
    let (text, rotated) = rotate(&text, recipient)?;
    if rotated.is_empty() {
        return Err(Failure::Usage(format!(
            "{} holds no encrypted secret; connector secrets encrypt makes one",
            path.display()
        )));
    }
    replace(path, &text)?;
    if global.json {
        output::json(&json!({"rotated": rotated}));
    } else {
        output::data(&format!("re-encrypted: {}", rotated.join(", ")));
        output::talk(
            "From now on the connector needs the new identity. Running processes keep what they have read.",
        );
    }
    Ok(())
}
