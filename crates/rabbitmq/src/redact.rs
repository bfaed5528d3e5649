//! The one way from what the broker says to a text: it may quote the password, as it came or encoded.

use std::sync::{PoisonError, RwLock};

use lapin::ErrorKind;

use http_client::Redactor;

/// The password of each broker that this process connected to: the configuration names one.
static PASSWORDS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// Keeps the password out of every text from here on.
pub(super) fn remember(password: &str) {
    let mut known = PASSWORDS.write().unwrap_or_else(PoisonError::into_inner);
    if !known.iter().any(|known| known == password) {
        known.push(password.to_owned());
    }
}

/// What an error says, cut: one of TLS lists every name of the broker's certificate.
pub(super) fn said(error: &lapin::Error) -> String {
    match error.kind() {
        // The broker's own words alone, whose end may be where it cut them, in the midst of the password.
        ErrorKind::ProtocolError(refusal) => cleaned(refusal.get_message().as_str()),
        _ => cleaned(&error.to_string()),
    }
}

/// An excerpt of a text of the broker, without any password.
pub(super) fn cleaned(text: &str) -> String {
    let known = PASSWORDS.read().unwrap_or_else(PoisonError::into_inner);
    Redactor::passwords(known.iter().map(String::as_str)).excerpt(text)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use lapin::protocol::{AMQPError, AMQPHardError, AMQPSoftError};

    use super::super::link::{answered, trouble};
    use super::*;

    /// Refusals of every kind, at opening and after it.
    #[tokio::test]
    async fn nothing_that_the_broker_says_repeats_the_password() {
        let password = "Br0kerPassw0rdOfThirtyCharacters";
        remember(password);
        let sasl = BASE64_STANDARD.encode(format!("\0connector\0{password}"));
        for quoted in [password, &sasl, &password[..16], &password[..9]] {
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
                    assert!(!shown.contains(&quoted[..9]), "{shown}");
                }
            }
        }
        assert_eq!(cleaned("low on memory"), "low on memory");
    }
}
