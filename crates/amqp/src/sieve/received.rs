//! The methods that the broker sends, as far as they use up what it may send. Pure.

use std::io;

use super::allowance::Allowance;
use super::methods::{
    ACK, BASIC, BLOCKED, CANCEL, CHANNEL, CLOSE_OK, CONNECTION, DELIVER, GET_EMPTY, GET_OK, NACK, RETURN,
    after_text,
};

/// Compares a method with what the broker may send.
///
/// # Errors
/// It may not send it.
pub(super) fn received(payload: &mut [u8], channel: [u8; 2], allowance: &mut Allowance) -> io::Result<()> {
    allowance.method(channel)?;
    let Some((id, rest)) = payload.split_first_chunk_mut::<4>() else { return Ok(()) };
    match [[id[0], id[1]], [id[2], id[3]]].map(u16::from_be_bytes) {
        [BASIC, DELIVER] => match after_text(rest).and_then(|number| number.first_chunk()) {
            Some(tag) => allowance.deliver(channel, u64::from_be_bytes(*tag))?,
            None => return Err(io::Error::other("the broker sent a delivery without a tag")),
        },
        [BASIC, RETURN] => allowance.give_back(channel)?,
        [BASIC, GET_OK] => allowance.answer(channel, true)?,
        [BASIC, GET_EMPTY] => allowance.answer(channel, false)?,
        [BASIC, ACK | NACK] => {
            if let Some((tag, [flags, ..])) = rest.split_first_chunk() {
                allowance.confirm(channel, u64::from_be_bytes(*tag), flags & 1 == 1);
            }
        }
        [BASIC, CANCEL] => allowance.cancel(channel)?,
        [CONNECTION, BLOCKED] => allowance.block()?,
        [CHANNEL, CLOSE_OK] => allowance.close(channel),
        _ => {}
    }
    Ok(())
}
