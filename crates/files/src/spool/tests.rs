use std::convert::Infallible;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::*;
use common::hash::ContentHash;

fn spool(capacity: u64) -> (tempfile::TempDir, Spool) {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::open(directory.path(), capacity).unwrap();
    (directory, spool)
}

fn pieces(content: &[u8]) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let pieces: Vec<_> = content.chunks(70_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

fn content(length: u64) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn what_is_received_is_read_back_whole_and_in_parts() {
    let (_directory, spool) = spool(64 << 20);
    for length in [0, 1, MEMORY_LIMIT, MEMORY_LIMIT + 1, 3 * MEMORY_LIMIT + 17] {
        let content = content(length);
        let file =
            spool.receive(pieces(&content), Length::Announced(length), Some(ExtraHash::Md5)).await.unwrap();
        assert_eq!(file.bytes(), length);
        assert_eq!(file.sha256(), ContentHash::from_bytes(Sha256::digest(&content).into()));
        assert_eq!(file.extra_hash(), Some(hex::encode(md5::Md5::digest(&content)).as_str()));
        let middle = length / 3..length;
        let read: Vec<Bytes> = file.stream(middle.clone()).try_collect().await.unwrap();
        assert_eq!(read.concat(), content[usize::try_from(middle.start).unwrap()..]);
        let mut whole = Vec::new();
        std::io::Read::read_to_end(&mut file.reader(), &mut whole).unwrap();
        assert_eq!(whole, content);
    }
}

#[tokio::test]
async fn a_file_that_ends_early_or_late_is_refused() {
    let (_directory, spool) = spool(64 << 20);
    for announced in [99, 101] {
        let refused = spool.receive(pieces(&content(100)), Length::Announced(announced), None).await;
        assert!(
            matches!(refused, Err(ReceiveError::Length { expected, received: 100 }) if expected == announced)
        );
    }
}

#[tokio::test]
async fn space_is_bounded_and_given_back() {
    let (_directory, spool) = spool(1 << 20);
    let too_large = spool.receive(pieces(&content(2 << 20)), Length::Announced(2 << 20), None).await;
    assert!(matches!(too_large, Err(ReceiveError::TooLarge { .. })));
    let first = spool.receive(pieces(&content(1 << 20)), Length::Unknown, None).await.unwrap();
    assert_eq!(spool.used(), 1 << 20);
    let mut second = Box::pin(spool.receive(pieces(b"x"), Length::Announced(1), None));
    assert!(futures::poll!(&mut second).is_pending());
    drop(first);
    second.await.unwrap();
    assert_eq!(spool.used(), 0);
}

/// A stream of what is sent to its channel.
fn sent() -> (
    futures::channel::mpsc::UnboundedSender<Result<Bytes, Infallible>>,
    impl Stream<Item = Result<Bytes, Infallible>>,
) {
    futures::channel::mpsc::unbounded()
}

#[tokio::test(start_paused = true)]
async fn a_file_of_known_length_has_its_space_before_its_first_byte_whether_it_is_announced_or_not() {
    let (_directory, spool) = spool(1 << 20);
    let (_sender, stream) = sent();
    let expected = Length::announced(None).or_expected(Some(700_000));
    let mut first = Box::pin(spool.receive(stream, expected, None));
    assert!(futures::poll!(&mut first).is_pending());
    assert_eq!(spool.used(), 11 * UNIT);
    let second = spool.receive(pieces(&content(700_000)), expected, None).await;
    assert!(matches!(second, Err(ReceiveError::Full)), "{second:?}");
}

#[tokio::test]
async fn files_that_turn_out_longer_never_wait_for_each_other() {
    let (_directory, spool) = spool(1 << 20);
    let half = Length::Expected(1 << 19);
    let (sender, stream) = sent();
    let mut first = Box::pin(spool.receive(stream, half, None));
    assert!(futures::poll!(&mut first).is_pending());
    let whole = content(1 << 20);
    let second = spool.receive(pieces(&whole), half, None).now_or_never();
    assert!(matches!(second, Some(Err(ReceiveError::Full))), "{second:?}");
    // The space that it held is free for the other file.
    sender.unbounded_send(Ok(Bytes::from(whole.clone()))).unwrap();
    drop(sender);
    assert_eq!(first.await.unwrap().bytes(), 1 << 20);
    let longer = spool.receive(pieces(&content((1 << 20) + 1)), half, None).await;
    assert!(matches!(longer, Err(ReceiveError::TooLarge { .. })), "{longer:?}");
}

#[tokio::test]
async fn nothing_is_left_in_the_directory_even_while_a_file_is_held() {
    let (directory, spool) = spool(64 << 20);
    let _held = spool.receive(pieces(&content(3 * MEMORY_LIMIT)), Length::Unknown, None).await.unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_failing_sender_is_reported_as_such() {
    let (_directory, spool) = spool(1 << 20);
    let failing = pieces(b"abc").map(|piece| piece.map_err(|_| "never")).chain(stream::iter([Err("cut")]));
    assert!(matches!(spool.receive(failing, Length::Unknown, None).await, Err(ReceiveError::Source("cut"))));
}

#[tokio::test]
async fn a_part_can_be_read_as_soon_as_its_bytes_are_there_and_not_before() {
    let (_directory, spool) = spool(64 << 20);
    let bytes = 3 * MEMORY_LIMIT;
    let (content, half) = (content(bytes), bytes / 2);
    let (arrival, arriving) = arrival(bytes);
    let (sender, stream) = sent();
    let mut whole = Box::pin(spool.receive_shown(stream, Length::Announced(bytes), None, arrival));
    let mut second = Box::pin(arriving.part(half..bytes));
    let at = usize::try_from(half).unwrap();
    sender.unbounded_send(Ok(Bytes::copy_from_slice(&content[..at]))).unwrap();
    let first = tokio::select! {
        part = arriving.part(0..half) => part.unwrap(),
        _ = &mut whole => panic!("it is not whole yet"),
    };
    for _again in 0..2 {
        let read: Vec<Bytes> = first.stream().try_collect().await.unwrap();
        assert_eq!(read.concat(), content[..at]);
    }
    assert!(futures::poll!(&mut second).is_pending());
    sender.unbounded_send(Ok(Bytes::copy_from_slice(&content[at..]))).unwrap();
    drop(sender);
    let file = whole.await.unwrap();
    let second = second.await.unwrap();
    assert_eq!((second.bytes(), file.bytes()), (bytes - half, bytes));
    let read: Vec<Bytes> = second.stream().try_collect().await.unwrap();
    assert_eq!(read.concat(), content[at..]);
    assert!(file.arriving().part(0..bytes).await.is_some());
}

#[tokio::test]
async fn the_rest_of_a_file_that_broke_off_is_not_waited_for() {
    let (_directory, spool) = spool(64 << 20);
    let bytes = 3 * MEMORY_LIMIT;
    let (arrival, arriving) = arrival(bytes);
    let short = pieces(&content(bytes / 2));
    let refused = spool.receive_shown(short, Length::Announced(bytes), None, arrival).await;
    assert!(matches!(refused, Err(ReceiveError::Length { .. })), "{refused:?}");
    assert!(arriving.part(0..bytes).await.is_none());
}
