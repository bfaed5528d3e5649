//! The numbers of AMQP's methods, as far as they are looked at, and where one is in a frame.

/// The length of a frame's head: type, channel and size.
pub(super) const HEAD: usize = 7;
/// The type of a frame with a method.
pub(super) const METHOD: u8 = 1;

/// The class of methods about the connection: the greeting, the only method of a broker with a table, and the note that no
/// message is accepted for now.
pub(super) const CONNECTION: u16 = 10;
pub(super) const START: u16 = 10;
pub(super) const BLOCKED: u16 = 60;

/// The class of methods about channels: the request for one, and the confirmation that one ended.
pub(super) const CHANNEL: u16 = 20;
pub(super) const OPEN: u16 = 10;
pub(super) const CLOSE_OK: u16 = 41;

/// The class of methods about confirms, and the request for them.
pub(super) const CONFIRM: u16 = 85;
pub(super) const SELECT: u16 = 10;

/// The class of methods about messages.
pub(super) const BASIC: u16 = 60;
pub(super) const CONSUME: u16 = 20;
pub(super) const CANCEL: u16 = 30;
pub(super) const PUBLISH: u16 = 40;
pub(super) const RETURN: u16 = 50;
pub(super) const DELIVER: u16 = 60;
pub(super) const GET: u16 = 70;
pub(super) const GET_OK: u16 = 71;
pub(super) const GET_EMPTY: u16 = 72;
/// These two confirm what was published, or settle what was delivered, one message or with a flag `multiple` all up to it.
pub(super) const ACK: u16 = 80;
pub(super) const NACK: u16 = 120;
pub(super) const REJECT: u16 = 90;

/// The bytes after a short string.
pub(super) fn after_text(bytes: &mut [u8]) -> Option<&mut [u8]> {
    let (&mut length, rest) = bytes.split_first_mut()?;
    rest.get_mut(usize::from(length)..)
}
