//! The token queue of the budget's simulation behaves as the broker's: the same scripts on both, with the same observations.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use budget::Budget;
use budget::model::Model;
use bynder::Gate;
use common::job::Lane;
use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions,
    BasicQosOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};
use rabbitmq::{MessageKeys, Settings};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::broker::Broker;
use crate::harness::until;

const QUEUE: &str = "connector.tokens.model";
const PREFETCH: u16 = 2;

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    Consume(usize, i32),
    Cancel(usize),
    /// The oldest that the member has in hand.
    Acknowledge(usize),
    GiveBack(usize),
    Lose(usize),
    /// Longer than a token is kept.
    Pass,
    Restart,
}

/// A member's side of the real queue.
struct Member {
    connection: Connection,
    channel: Channel,
    consumer: Option<Consumer>,
    in_hand: VecDeque<(u32, Delivery)>,
}

struct Both {
    broker: Broker,
    began: Instant,
    model: Model<u32>,
    /// What each member has in hand by the model.
    expected: BTreeMap<usize, VecDeque<u32>>,
    members: BTreeMap<usize, Member>,
    observer: Option<(Connection, Channel)>,
    published: u32,
}

impl Both {
    async fn start() -> Self {
        let broker = Broker::start().await;
        let settings = Settings {
            url: broker.url().into(),
            allow_plain: false,
            authority: None,
            egress_group: "model".to_owned(),
            keys: MessageKeys::default(),
            prefix: "model".to_owned(),
            rungs: vec![Duration::from_secs(5)],
            portal: "https://portal.example".to_owned(),
            program: "test".to_owned(),
        };
        // Declares everything as the programs do.
        drop(rabbitmq::Broker::open(&settings, Duration::from_secs(30)).await.unwrap());
        let mut both = Self {
            broker,
            began: Instant::now(),
            model: Model::default(),
            expected: BTreeMap::new(),
            members: BTreeMap::new(),
            observer: None,
            published: 0,
        };
        both.observe_anew().await;
        both
    }

    async fn observe_anew(&mut self) {
        let connection = self.connect().await;
        let channel = connection.create_channel().await.unwrap();
        self.observer = Some((connection, channel));
    }

    async fn connect(&self) -> Connection {
        Connection::connect(&self.broker.url(), ConnectionProperties::default()).await.unwrap()
    }

    async fn member(&mut self, number: usize) -> &mut Member {
        if !self.members.contains_key(&number) {
            let connection = self.connect().await;
            let channel = connection.create_channel().await.unwrap();
            channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
            let member = Member { connection, channel, consumer: None, in_hand: VecDeque::new() };
            self.members.insert(number, member);
        }
        self.members.get_mut(&number).unwrap()
    }

    fn delivered(&mut self, delivered: Vec<(usize, u32)>) {
        for (member, body) in delivered {
            self.expected.entry(member).or_default().push_back(body);
        }
    }

    fn is_consuming(&self, number: usize) -> bool {
        self.members.get(&number).is_some_and(|member| member.consumer.is_some())
    }

    async fn take(&mut self, step: Step) {
        let oldest = |both: &Self, member| both.expected.get(&member).and_then(|hand| hand.front().copied());
        match step {
            Step::Publish => {
                self.published += 1;
                let body = self.published.to_be_bytes();
                let (_, channel) = self.observer.as_ref().unwrap();
                let options = BasicPublishOptions::default();
                let properties = BasicProperties::default();
                channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await.unwrap();
                let delivered = self.model.publish(self.published, self.began.elapsed());
                self.delivered(delivered);
            }
            Step::Consume(number, _) if self.is_consuming(number) => {}
            // One consumer a member: what it has in hand belongs to the one before.
            Step::Consume(number, _) if oldest(self, number).is_some() => {}
            Step::Consume(number, priority) => {
                let member = self.member(number).await;
                let mut arguments = FieldTable::default();
                arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
                let options = BasicConsumeOptions::default();
                let tag = format!("member{number}");
                let consuming = member.channel.basic_consume(QUEUE.into(), tag.into(), options, arguments);
                member.consumer = Some(consuming.await.unwrap());
                let delivered = self.model.consume(number, priority, self.began.elapsed());
                self.delivered(delivered);
            }
            Step::Cancel(number) => {
                let Some(member) = self.members.get_mut(&number) else { return };
                let Some(consumer) = member.consumer.take() else { return };
                member.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await.unwrap();
                self.model.cancel(number);
            }
            Step::Acknowledge(number) | Step::GiveBack(number) => {
                let Some(body) = oldest(self, number) else { return };
                self.expected.get_mut(&number).unwrap().pop_front();
                let (_, delivery) = self.members.get_mut(&number).unwrap().in_hand.pop_front().unwrap();
                let now = self.began.elapsed();
                let delivered = if matches!(step, Step::Acknowledge(_)) {
                    delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
                    self.model.acknowledge(number, body, now)
                } else {
                    let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                    delivery.acker.nack(back).await.unwrap();
                    self.model.give_back(number, body, now)
                };
                self.delivered(delivered);
            }
            Step::Lose(number) => {
                let Some(member) = self.members.remove(&number) else { return };
                member.connection.close(200, "lost".into()).await.unwrap();
                self.expected.remove(&number);
                let delivered = self.model.lose(number, self.began.elapsed());
                self.delivered(delivered);
            }
            // The broker's clock, which cannot be set, has to pass what a token lives.
            Step::Pass => tokio::time::sleep(Duration::from_millis(2300)).await,
            Step::Restart => {
                self.members.clear();
                self.expected.clear();
                self.broker.restart().await;
                self.observe_anew().await;
                self.model.restart();
            }
        }
    }

    /// Waits until the broker shows what the model says: what each member has in hand, and what the queue counts.
    async fn agree(&mut self, script: &str) {
        let mut seen = (Vec::new(), 0, 0);
        let agreeing = async {
            loop {
                for member in self.members.values_mut() {
                    let Some(consumer) = &mut member.consumer else { continue };
                    while let Some(Some(Ok(delivery))) = consumer.next().now_or_never() {
                        let body = u32::from_be_bytes(delivery.data[..].try_into().unwrap());
                        member.in_hand.push_back((body, delivery));
                    }
                }
                let hands =
                    |member: &Member| member.in_hand.iter().map(|(body, _)| *body).collect::<Vec<_>>();
                let in_hand: Vec<Vec<u32>> = self.members.values().map(hands).collect();
                let expected =
                    self.members.keys().map(|number| self.expected.get(number).cloned().unwrap_or_default());
                let expected: Vec<Vec<u32>> = expected.map(Vec::from).collect();
                let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
                let (_, channel) = self.observer.as_ref().unwrap();
                let shown =
                    channel.queue_declare(QUEUE.into(), passive, FieldTable::default()).await.unwrap();
                let counts = (shown.message_count() as usize, shown.consumer_count() as usize);
                let modelled = (self.model.ready(self.began.elapsed()), self.model.consumers());
                if in_hand == expected && counts == modelled {
                    return;
                }
                seen = (vec![(in_hand, expected)], counts.0 * 100 + counts.1, modelled.0 * 100 + modelled.1);
                // The counts of a queue have to be asked for.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let agreed = tokio::time::timeout(Duration::from_secs(5), agreeing).await;
        assert!(agreed.is_ok(), "the broker and the model differ: {seen:?} after {script}");
    }

    async fn replay(&mut self, script: &[Step]) {
        for (number, step) in script.iter().enumerate() {
            self.take(*step).await;
            self.agree(&format!("{:?}", &script[..=number])).await;
        }
    }

    /// Nothing is left of an earlier script.
    async fn clear(&mut self) {
        for number in 0..4 {
            self.take(Step::Lose(number)).await;
        }
        self.replay(&[Step::Pass]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_queue_and_the_brokers_show_the_same_after_every_step_of_the_same_script() {
    use Step::{Acknowledge, Cancel, Consume, GiveBack, Lose, Pass, Publish, Restart};
    let mut both = Both::start().await;
    // The oldest make room, and the others pass away.
    both.replay(&[Publish; 18]).await;
    both.replay(&[Consume(0, 0), Lose(0), Pass, Consume(1, 0)]).await;
    both.clear().await;
    // In hand nothing passes away; given back, it is as old as it is.
    both.replay(&[Consume(0, 0), Publish, Publish, Publish, Pass, Acknowledge(0), GiveBack(0), Publish])
        .await;
    both.clear().await;
    // The higher priority first, up to its prefetch.
    both.replay(&[
        Consume(0, 0),
        Consume(1, 1),
        Publish,
        Publish,
        Publish,
        Acknowledge(1),
        Publish,
        Cancel(1),
        Publish,
    ])
    .await;
    both.clear().await;
    both.replay(&[
        Consume(0, 0),
        Consume(1, 0),
        Publish,
        Publish,
        Restart,
        Consume(0, 0),
        Publish,
        GiveBack(0),
    ])
    .await;
    for seed in 0..12 {
        both.clear().await;
        let mut random = StdRng::seed_from_u64(seed);
        let script: Vec<Step> = (0..14)
            .map(|_| {
                let member = random.random_range(0..4);
                match random.random_range(0..13) {
                    0..=4 => Publish,
                    5..=7 => Consume(member, i32::from(member == 3)),
                    8 => Cancel(member),
                    9 | 10 => Acknowledge(member),
                    11 => GiveBack(member),
                    _ => Lose(member),
                }
            })
            .collect();
        both.replay(&script).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_exclusive_consumer_is_refused_until_the_first_ones_channel_is_gone() {
    let both = Both::start().await;
    let queue = "connector.minter.model";
    let options = || BasicConsumeOptions { exclusive: true, no_ack: true, ..BasicConsumeOptions::default() };
    let (one, other) = (both.connect().await, both.connect().await);
    let first = one.create_channel().await.unwrap();
    let office =
        first.basic_consume(queue.into(), "".into(), options(), FieldTable::default()).await.unwrap();
    for connection in [&one, &other] {
        let channel = connection.create_channel().await.unwrap();
        let refused = channel.basic_consume(queue.into(), "".into(), options(), FieldTable::default()).await;
        assert!(refused.is_err());
        until(|| !channel.status().connected()).await;
    }
    drop((office, first));
    crate::harness::until_async(async || {
        let channel = other.create_channel().await.unwrap();
        channel.basic_consume(queue.into(), "".into(), options(), FieldTable::default()).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_lately_has_the_tokens_before_the_backlog_of_another_process() {
    const CALLS: usize = 6;
    let shared = Broker::shared().await;
    let settings =
        Settings { url: shared.url().into(), ..crate::queue::settings("priorities".to_owned()).await };
    // Two tokens a second.
    let budgets = [(); 2].map(|()| Budget::of_group(600.try_into().unwrap()));
    let mut members = Vec::new();
    for budget in &budgets {
        let broker = rabbitmq::Broker::open(&settings, Duration::from_secs(30)).await.unwrap();
        members.push((broker.egress_group().join(budget), broker));
    }
    let (said, mut admitted) = tokio::sync::mpsc::unbounded_channel();
    let ask = |lane: Lane, budget: &Budget| {
        for _ in 0..CALLS {
            let (budget, said) = (budget.clone(), said.clone());
            tokio::spawn(async move {
                budget.admit(lane, 1).await.unwrap();
                said.send(lane).unwrap();
            });
        }
    };
    ask(Lane::Backlog, &budgets[0]);
    // Tokens flow, and the backlog has them all.
    assert_eq!(admitted.recv().await, Some(Lane::Backlog));
    ask(Lane::Fresh, &budgets[1]);
    let (mut fresh, mut before) = (0, 0);
    while fresh < CALLS {
        match admitted.recv().await.unwrap() {
            Lane::Fresh => fresh += 1,
            Lane::Backlog => before += 1,
        }
    }
    // What was in the backlog's hands by then, and no more.
    assert!(before <= usize::from(PREFETCH) + 1, "{before} calls of the backlog went before fresh ones");
}
