//! Leases on a broker that does not keep a second exclusive consumer out, and in a queue that a stranger fills.

use std::net::SocketAddr;

use common::asset::AssetId;
use queue::Left;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::amqp::Stranger;
use crate::harness::broker::{Broker, url};
use crate::harness::fleet::{Fleet, ended};
use crate::harness::queue_laws::{is_free, lease};
use crate::harness::{quick, until_async};

const METHOD: u8 = 1;
const BASIC_CONSUME: [u8; 4] = [0, 60, 0, 20];
const EXCLUSIVE: u8 = 4;

/// A way to the broker on which no consumer is exclusive.
async fn without_exclusivity(broker: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_broker, to_broker) = TcpStream::connect(broker).await.unwrap().into_split();
                tokio::select! {
                    _ = share(&mut from_client, to_broker) => {}
                    _ = copy(&mut from_broker, &mut to_client) => {}
                }
            });
        }
    });
    address
}

/// Passes frames on, without the wish to be the only consumer.
async fn share(
    from: &mut (impl AsyncReadExt + Unpin),
    mut to: impl AsyncWriteExt + Unpin,
) -> std::io::Result<()> {
    let mut greeting = [0; 8];
    from.read_exact(&mut greeting).await?;
    to.write_all(&greeting).await?;
    loop {
        let mut head = [0; 7];
        from.read_exact(&mut head).await?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; size as usize + 1];
        from.read_exact(&mut payload).await?;
        if head[0] == METHOD && payload.starts_with(&BASIC_CONSUME) {
            // A reserved number, the queue's name and the consumer's tag come before the flags.
            let tag = 7 + usize::from(payload[6]);
            let flags = tag + 1 + usize::from(payload[tag]);
            payload[flags] &= !EXCLUSIVE;
        }
        to.write_all(&head).await?;
        to.write_all(&payload).await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_broker_that_lets_two_consume_exclusively_no_process_works_and_the_doctor_says_so() {
    let lax = url(without_exclusivity(Broker::shared().await.address()).await);
    let fleet = Fleet::new(quick()).await;
    // Makes the queue with which the doctor, which makes none, tries it.
    fleet.connection().await;
    let over_it = [("CONNECTOR_BROKER__URL", lax)];
    ended(fleet.worker_with(&over_it)).await.assert_code(3);
    let said = "lets two processes consume the queue";
    assert!(fleet.worker_logs().contains(said), "{}", fleet.worker_logs());
    let doctor = fleet.bench.run_with(&["doctor"], &over_it).await;
    assert!(doctor.assert_code(3).out.contains(said), "{doctor:?}");
}

/// Messages of a queue: those that wait, and those in a process's hands.
async fn messages(queue: &str) -> (u32, u32) {
    let asked = ["list_queues", "name", "messages_ready", "messages_unacknowledged"];
    let listed = Broker::shared().await.control(&asked).await;
    let row = listed.lines().find_map(|row| row.strip_prefix(queue)?.strip_prefix('\t')).unwrap();
    let (waiting, in_hand) = row.split_once('\t').unwrap();
    (waiting.parse().unwrap(), in_hand.parse().unwrap())
}

/// The one queue of leases that a process of the fleet has.
async fn consumed_leases(fleet: &Fleet) -> String {
    let listed = Broker::shared().await.control(&["list_queues", "name", "consumers"]).await;
    let leases = format!("{}.locks.", fleet.prefix);
    let mut consumed = listed.lines().filter_map(|row| row.strip_suffix("\t1"));
    consumed.find(|name| name.starts_with(&leases)).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_note_of_a_stranger_whatever_stands_in_it_takes_a_lease_away_or_keeps_another_asset() {
    let fleet = Fleet::new(quick()).await;
    let queue = fleet.queue().await;
    let asset: AssetId = "A1".parse().unwrap();
    let held = lease(&queue.locks, &asset, "one", &[]).await.unwrap();
    let leases = consumed_leases(&fleet).await;
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    let notes = [
        r#"{"id":"n","asset":"B","kept":{"ms":3000,"job":"j"}}"#,
        r#"{"id":"n","asset":"B","leased":[{"ms":2000},{"ms":3000,"job":"j"}]}"#,
    ];
    let raw = [b"".to_vec(), b"{}".to_vec(), vec![0xFF; 300], vec![b'['; 60_000], vec![b' '; 1 << 20]];
    let mutated = notes.iter().flat_map(|note| laws::mutations(note.as_bytes()));
    let bodies: Vec<_> = mutated.chain(raw).collect();
    // Once while it is held, once before it is taken.
    for held in [Some(held), None] {
        for body in &bodies {
            stranger.send("", leases.as_bytes(), b"\0\0", body).await;
        }
        stranger.confirmed().await;
        if let Some(held) = held {
            held.check().unwrap();
            held.end(Left::Nothing);
        }
        until_async(async || is_free(&queue.locks, &asset, "two").await).await;
    }
    let held = lease(&queue.locks, &asset, "three", &[]).await.unwrap();
    assert!(!is_free(&queue.locks, &asset, "four").await);
    held.end(Left::Nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_queue_of_leases_that_a_stranger_fills_a_process_holds_a_bounded_part_and_loses_no_lease() {
    let fleet = Fleet::new(quick()).await;
    let queue = fleet.queue().await;
    let asset: AssetId = "A1".parse().unwrap();
    let held = lease(&queue.locks, &asset, "one", &[]).await.unwrap();
    let full = &consumed_leases(&fleet).await;
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    for number in 0..4000 {
        let note = format!(r#"{{"id":"{number}","asset":"B{number}","kept":{{"ms":3600000}}}}"#);
        stranger.send("", full.as_bytes(), b"\0\0", note.as_bytes()).await;
    }
    stranger.confirmed().await;
    until_async(async || messages(full).await == (1000, 2000)).await;
    held.check().unwrap();
    // What the process had goes back, and what the queue does not keep of it is gone.
    held.end(Left::Nothing);
    until_async(async || messages(full).await == (1000, 0)).await;
    stranger.purge(full).await;
    until_async(async || is_free(&queue.locks, &asset, "one").await).await;
}
