//! Authentic messages: each carries a signature that only a process with the fleet's key can make.
//!
//! The signature covers the message's queue, the deployment's prefix and portal, and the body: a message moved to
//! another queue, prefix or portal is not authentic there. A queue holds one kind of message, so the kind is covered as
//! well.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use lapin::message::Delivery;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Connection};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::Connections;
use super::arguments::ROUTING_KEY;
use super::feed::Received;
use super::topology::Topology;
use amqp::message::SIGNATURE;
use amqp::{ConnectError, in_time, is_absence};
use queue::QueueError;

/// The shortest key, in bytes of its text.
const SHORTEST: usize = 32;
/// The length of a key's id, which is the beginning of a code.
const ID_BYTES: usize = 8;

/// The keys of a fleet: the first one signs, all are accepted. Empty in a fleet without signatures.
#[derive(Clone, Default)]
pub struct MessageKeys(Arc<Vec<SecretString>>);

impl fmt::Debug for MessageKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} keys", self.0.len())
    }
}

impl MessageKeys {
    /// Parses keys separated by commas.
    ///
    /// # Errors
    /// One of them is too short.
    pub fn read(text: &SecretString) -> Result<Self, String> {
        let keys: Vec<_> =
            text.expose_secret().split(',').map(|key| SecretString::from(key.trim())).collect();
        if keys.iter().any(|key| key.expose_secret().len() < SHORTEST) {
            return Err(format!(
                "each key has at least {SHORTEST} characters, with a comma between keys; `openssl rand -hex 32` makes one"
            ));
        }
        Ok(Self(Arc::new(keys)))
    }

    /// The value of [`SIGNATURE`] for a message in this queue, for tests that write what no program of the fleet does.
    /// Messages for all deployments of an address have an empty prefix and portal.
    #[cfg(feature = "fault-injection")]
    pub fn signature(&self, prefix: &str, portal: &str, queue: &str, body: &[u8]) -> Option<String> {
        Signer::new(self, prefix, portal).signature(queue, body)
    }

    /// Generates a key, as text.
    pub fn generate() -> SecretString {
        SecretString::from(hex::encode(rand::random::<[u8; SHORTEST]>()))
    }
}

/// Signs messages of one deployment.
#[derive(Clone)]
pub(super) struct Signer {
    keys: MessageKeys,
    prefix: String,
    portal: String,
}

impl Signer {
    pub(super) fn new(keys: &MessageKeys, prefix: &str, portal: &str) -> Self {
        Self { keys: keys.clone(), prefix: prefix.to_owned(), portal: portal.to_owned() }
    }

    /// The signer of what deployments that share an address send each other.
    pub(super) fn of_groups(&self) -> Self {
        Self { keys: self.keys.clone(), prefix: String::new(), portal: String::new() }
    }

    fn is_unsigned(&self) -> bool {
        self.keys.0.is_empty()
    }

    /// The properties with the signature of a message for this queue, unless they have one already.
    pub(super) fn signed(&self, properties: BasicProperties, queue: &str, body: &[u8]) -> BasicProperties {
        let Some(signature) = self.signature(queue, body) else { return properties };
        let mut headers = properties.headers().clone().unwrap_or_default();
        if !headers.contains_key(SIGNATURE) {
            headers.insert(SIGNATURE.into(), AMQPValue::LongString(signature.into()));
        }
        properties.with_headers(headers)
    }

    /// The header's value for a message in this queue; `None` in a fleet without signatures.
    fn signature(&self, queue: &str, body: &[u8]) -> Option<String> {
        let key = self.keys.0.first()?;
        let code = hex::encode(self.code(key, queue, body).finalize().into_bytes());
        Some(format!("{} {code}", id_of(key)))
    }

    /// Whether the fleet signed the message for one of these queues, or uses no signatures.
    pub(super) fn accepts(&self, queues: &[ShortString], properties: &BasicProperties, body: &[u8]) -> bool {
        if self.is_unsigned() {
            return true;
        }
        let header = properties.headers().as_ref().and_then(|headers| headers.inner().get(SIGNATURE));
        let Some(AMQPValue::LongString(header)) = header else { return false };
        let signed = std::str::from_utf8(header.as_bytes()).ok().and_then(|text| text.split_once(' '));
        let Some((id, code)) = signed else { return false };
        let Ok(code) = hex::decode(code) else { return false };
        let known = self.keys.0.iter().filter(|key| id_of(key) == id);
        known.into_iter().any(|key| {
            queues.iter().any(|queue| self.code(key, queue.as_str(), body).verify_slice(&code).is_ok())
        })
    }

    fn code(&self, key: &SecretString, queue: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut code = begun(key, "message");
        for part in [queue, &self.prefix, &self.portal] {
            add(&mut code, part.as_bytes());
        }
        code.update(body);
        code
    }

    /// Distinguishes this fleet's key from others without revealing it.
    fn fingerprint(&self, key: &SecretString) -> String {
        let mut code = begun(key, "fleet");
        for part in [&self.prefix, &self.portal] {
            add(&mut code, part.as_bytes());
        }
        hex::encode(code.finalize().into_bytes())
    }
}

fn begun(key: &SecretString, purpose: &str) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .unwrap_or_else(|_| unreachable!("a key of any length will do"));
    add(&mut code, purpose.as_bytes());
    code
}

/// Adds a part after its length, so that different lists of parts never give the same bytes.
fn add(code: &mut Hmac<Sha256>, part: &[u8]) {
    code.update(&(part.len() as u64).to_be_bytes());
    code.update(part);
}

fn id_of(key: &SecretString) -> String {
    hex::encode(&begun(key, "id").finalize().into_bytes()[..ID_BYTES])
}

impl Connections {
    /// Whether a process of this fleet wrote the message for the queue that it was found in.
    pub(super) fn is_authentic(&self, queue: &ShortString, message: &Delivery) -> bool {
        let mut queues = vec![queue.clone()];
        if *queue == self.topology.dead() {
            // The broker moved it there from one of these queues.
            queues.extend(self.topology.works());
        }
        self.signer.accepts(&queues, &message.properties, &message.data)
    }

    /// Sets aside a message that is not authentic.
    pub(super) async fn refuse(&self, taken: &Received) -> Result<(), QueueError> {
        let reason = format!("found in {} and not signed for it by a key of this fleet", taken.queue);
        if let Err(error) = self.set_aside(&taken.message.data, &reason).await {
            taken.give_back().await;
            return Err(error);
        }
        taken.acknowledge().await
    }
}

/// Fails if the fleet under the prefix has another key. With `declares`, the first process declares which key it has.
pub(super) async fn compare_key(
    topology: &Topology,
    signer: &Signer,
    connection: &Connection,
    declares: bool,
) -> Result<(), ConnectError> {
    if !declares || signer.is_unsigned() {
        match (has_key(topology, connection).await?, signer.is_unsigned()) {
            (false, _) => return Ok(()),
            (true, true) => {
                return Err(ConnectError::Misconfigured(format!(
                    "the fleet under queue.prefix {:?} signs its messages, and broker.message_key is missing here",
                    topology.prefix()
                )));
            }
            (true, false) => {}
        }
    }
    for key in signer.keys.0.iter() {
        match declare(topology, connection, &signer.fingerprint(key)).await {
            Ok(()) => return Ok(()),
            Err(ConnectError::Misconfigured(reason)) if reason.contains(ROUTING_KEY) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Err(ConnectError::Misconfigured(format!(
        "broker.message_key is not the key of the fleet under queue.prefix {:?}. Give every process the same; or, if the key \
         changed, run `rabbitmqctl delete_queue {}`",
        topology.prefix(),
        topology.key()
    )))
}

async fn has_key(topology: &Topology, connection: &Connection) -> Result<bool, ConnectError> {
    let checking = async {
        let channel = connection.create_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        match channel.queue_declare(topology.key(), passive, FieldTable::default()).await {
            Ok(_) => {}
            Err(error) if is_absence(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
        let _ = channel.close(200, "seen".into()).await;
        Ok(true)
    };
    in_time(checking).await
}

async fn declare(
    topology: &Topology,
    connection: &Connection,
    fingerprint: &str,
) -> Result<(), ConnectError> {
    let declaring = async {
        let channel = connection.create_channel().await?;
        topology.declare_key(&channel, fingerprint).await?;
        let _ = channel.close(200, "declared".into()).await;
        Ok(())
    };
    in_time(declaring).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> MessageKeys {
        MessageKeys::read(&SecretString::from(text)).unwrap()
    }

    fn signer(text: &str) -> Signer {
        Signer::new(&keys(text), "connector", "https://acme.example")
    }

    const ONE: &str = "11111111111111111111111111111111";
    const TWO: &str = "22222222222222222222222222222222";

    fn accepts(by: &Signer, queue: &str, properties: &BasicProperties, body: &[u8]) -> bool {
        by.accepts(&[queue.into()], properties, body)
    }

    #[test]
    fn a_message_is_authentic_in_its_queue_prefix_and_portal_with_its_body_and_nowhere_else() {
        let one = signer(ONE);
        let signed = one.signed(BasicProperties::default(), "connector.save", b"{}");
        assert!(accepts(&one, "connector.save", &signed, b"{}"));
        assert!(!accepts(&one, "connector.transfer", &signed, b"{}"));
        assert!(!accepts(&one, "connector.save", &signed, b"{ }"));
        assert!(!accepts(&one, "connector.save", &BasicProperties::default(), b"{}"));
        for other in [
            Signer::new(&keys(ONE), "other", "https://acme.example"),
            Signer::new(&keys(ONE), "connector", "https://other.example"),
            signer(TWO),
        ] {
            assert!(!accepts(&other, "connector.save", &signed, b"{}"));
        }
        let moved = one.signed(BasicProperties::default(), "connector.", b"save{}");
        assert!(!accepts(&one, "connector.save", &moved, b"{}"));
    }

    #[test]
    fn what_is_said_to_a_group_is_no_message_of_a_deployment_and_heard_by_all_with_the_key() {
        let (one, other) = (signer(ONE), Signer::new(&keys(ONE), "other", "https://other.example"));
        let said = one.of_groups().signed(BasicProperties::default(), "connector.control", b"{}");
        assert!(accepts(&other.of_groups(), "connector.control", &said, b"{}"));
        assert!(!accepts(&one, "connector.control", &said, b"{}"));
        assert!(!accepts(&signer(TWO).of_groups(), "connector.control", &said, b"{}"));
        let own = one.signed(BasicProperties::default(), "connector.control", b"{}");
        assert!(!accepts(&one.of_groups(), "connector.control", &own, b"{}"));
        assert_eq!(one.signed(said.clone(), "default", b"{}"), said, "it is signed already");
    }

    #[test]
    fn every_key_is_accepted_and_the_first_signs() {
        let (before, during, after) = (signer(ONE), signer(&format!("{TWO}, {ONE}")), signer(TWO));
        let old = before.signed(BasicProperties::default(), "q", b"");
        let new = during.signed(BasicProperties::default(), "q", b"");
        assert!(accepts(&during, "q", &old, b"") && accepts(&during, "q", &new, b""));
        assert!(accepts(&after, "q", &new, b"") && !accepts(&after, "q", &old, b""));
        assert!(!accepts(&before, "q", &new, b""));
    }

    #[test]
    fn without_a_key_nothing_is_signed_and_everything_accepted() {
        let unsigned = Signer::new(&MessageKeys::default(), "connector", "https://acme.example");
        assert_eq!(unsigned.signed(BasicProperties::default(), "q", b""), BasicProperties::default());
        assert!(accepts(&unsigned, "q", &BasicProperties::default(), b"x"));
    }

    #[test]
    fn a_generated_key_is_one_and_like_no_other() {
        let [one, other] = [MessageKeys::generate(), MessageKeys::generate()];
        assert!(MessageKeys::read(&one).is_ok() && MessageKeys::read(&other).is_ok());
        assert_ne!(one.expose_secret(), other.expose_secret());
    }

    #[test]
    fn a_short_key_is_refused_and_no_key_is_shown() {
        for text in ["short", "", &format!("{ONE},"), &format!("{ONE},x")] {
            assert!(MessageKeys::read(&SecretString::from(text)).is_err(), "{text:?}");
        }
        assert_eq!(format!("{:?}", keys(ONE)), "1 keys");
    }

    proptest::proptest! {
        #[test]
        fn no_header_of_a_stranger_is_accepted(header: String) {
            let mut headers = FieldTable::default();
            headers.insert(SIGNATURE.into(), AMQPValue::LongString(header.into()));
            let properties = BasicProperties::default().with_headers(headers);
            proptest::prop_assert!(!accepts(&signer(ONE), "q", &properties, b""));
        }
    }
}
