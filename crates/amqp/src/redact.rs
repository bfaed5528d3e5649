//! Turns the broker's errors and texts into strings. They may quote the password, plain or encoded, so this is the only
//! way.

use std::sync::{PoisonError, RwLock};

use lapin::ErrorKind;

use http_client::Redactor;

/// The passwords of the brokers that this process connected to; the configuration has one.
static PASSWORDS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Removes this password from every text from now on.
pub(super) fn remember(password: &str) {
    let mut known = PASSWORDS.write().unwrap_or_else(PoisonError::into_inner);
    if !known.iter().any(|known| known == password) {
        known.push(password.to_owned());
    }
}

/// An error's message, shortened: a TLS error lists every name in the broker's certificate.
pub fn said(error: &lapin::Error) -> String {
    match error.kind() {
        // Only the broker's own text, cleaned by itself: the broker may have cut it in the middle of the password.
        ErrorKind::ProtocolError(refusal) => cleaned(refusal.get_message().as_str()),
        _ => cleaned(&error.to_string()),
    }
}

/// An excerpt of a text from the broker, without passwords.
pub(super) fn cleaned(text: &str) -> String {
    let known = PASSWORDS.read().unwrap_or_else(PoisonError::into_inner);
    Redactor::passwords(known.iter().map(String::as_str)).excerpt(text)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use lapin::protocol::{AMQPError, AMQPHardError, AMQPSoftError};

    use super::super::connection::{answered, trouble};
    use super::*;

    /// Refusals of every kind, on connecting and later.
    #[tokio::test]
    async fn nothing_that_the_broker_says_repeats_the_password() {
        let password = "Br0kerPassw0rdOfThirtyCharacters";
        remember(password);
        let sasl = BASE64_STANDARD.encode(format!("\0connector\0{password}"));
        for quoted in [password, &sasl, &password[..16], &password[..9], &password[2..8], &password[8..16]] {
            let message = format!("CONNECTION_FORCED - {quoted}");
            let soft =
                [AMQPSoftError::ACCESSREFUSED, AMQPSoftError::PRECONDITIONFAILED, AMQPSoftError::NOTFOUND];
            let hard =
                [AMQPHardError::CONNECTIONFORCED, AMQPHardError::NOTALLOWED, AMQPHardError::INTERNALERROR];
            let errors = soft.map(|kind| AMQPError::new(kind.into(), message.as_str().into()));
            let errors = errors
                .into_iter()
                .chain(hard.map(|kind| AMQPError::new(kind.into(), message.as_str().into())));
            for error in errors.map(|error| lapin::Error::from(ErrorKind::ProtocolError(error))) {
                let after = answered(async { Err::<(), _>(error.clone()) }).await.unwrap_err().to_string();
                for shown in [said(&error), format!("{:?}", trouble(&error)), after] {
                    assert!(!shown.contains(&quoted[..6]), "{shown}");
                }
            }
        }
        assert_eq!(cleaned("low on memory"), "low on memory");
    }
}
