//! `connector secrets keygen | encrypt`.

use std::io::Read;

use common::config::{encrypt, keygen};
use common::failure::Failure;
use common::output;
use producer::arguments::Common;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::arguments::Secrets;

/// No secret is longer.
const LONGEST: u64 = 64 << 10;

pub(crate) fn run(common: &Common, command: &Secrets) -> Result<(), Failure> {
    match command {
        Secrets::Keygen => {
            let keys = keygen();
            // The one place where a secret is printed: this is what the command is for.
            if common.json {
                let line = json!({"identity": keys.identity.expose_secret(), "recipient": keys.recipient});
                output::data(&line.to_string());
            } else {
                output::talk(
                    "Keep the identity where only the connector can read it (CONNECTOR_AGE_IDENTITY_FILE).",
                );
                output::data(&format!("# recipient: {}", keys.recipient));
                output::data(keys.identity.expose_secret());
            }
        }
        Secrets::Encrypt { recipient } => {
            let mut secret = String::new();
            std::io::stdin().take(LONGEST).read_to_string(&mut secret).map_err(|error| {
                Failure::Usage(format!("cannot read the secret from standard input: {error}"))
            })?;
            let secret = SecretString::from(secret.trim_end_matches(['\r', '\n']));
            if secret.expose_secret().is_empty() {
                return Err(Failure::Usage(
                    "standard input is empty; pipe the secret into this command".to_owned(),
                ));
            }
            let armour = encrypt(recipient, &secret).map_err(Failure::Usage)?;
            if common.json {
                output::data(&json!({"encrypted": armour}).to_string());
            } else {
                output::data(&format!("{{ encrypted = \"\"\"\n{}\n\"\"\" }}", armour.trim_end()));
            }
        }
    }
    Ok(())
}
