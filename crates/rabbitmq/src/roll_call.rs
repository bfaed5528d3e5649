//! Which processes are running: the members of the egress group, by their announcements.

use std::collections::BTreeMap;

use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use serde::Serialize;
use tokio::time::Instant;

use super::Settings;
use super::announcement::Announcement;
use super::group::MOST_UNHEARD;
use super::topology::Topology;
use amqp::{ANSWER, answered};
use budget::{Beat, MOST_MEMBERS, Timing};
use queue::QueueError;

/// One process of the group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Member {
    /// `worker`, `producer` or a command; empty if its release does not announce it.
    pub program: String,
    /// The prefix of its deployment; empty if its release does not announce it.
    pub deployment: String,
    /// The id that it generated at its start.
    pub member: String,
    /// Calls to Bynder that it made in the last five minutes.
    pub calls_per_5_minutes: f64,
    /// Services that it cannot use right now.
    pub services_out: Vec<String>,
}

/// Listens until every member must have announced itself. Leaves nothing on the broker.
///
/// # Errors
/// [`QueueError::Refused`] if a person has to act, [`QueueError::Unavailable`] if the broker does not answer.
pub async fn roll_call(settings: &Settings) -> Result<Vec<Member>, QueueError> {
    let target = settings.target()?;
    let (control, group) = (Topology::control(), target.topology.group());
    let connection = target.address.open("looking").await?;
    let channel = answered(connection.create_channel()).await?;
    let (options, none) = (QueueDeclareOptions::exclusive(), FieldTable::default());
    let own =
        answered(channel.queue_declare(Topology::member(), options, none.clone())).await?.name().clone();
    let options = QueueBindOptions::default();
    answered(channel.queue_bind(own.clone(), control, Topology::every_group(), options, none.clone()))
        .await?;
    answered(channel.basic_qos(MOST_UNHEARD, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let mut incoming = answered(channel.basic_consume(own, ShortString::default(), options, none)).await?;
    let timing = Timing::real();
    // An announcement may be late by half an interval.
    let until = Instant::now() + timing.beat * 3 / 2;
    let mut members = BTreeMap::new();
    while let Ok(Some(Ok(message))) = tokio::time::timeout_at(until, incoming.next()).await {
        answered(message.ack(BasicAckOptions::default())).await?;
        let Announcement::Member(beat) = Announcement::of(&target.signer, &message) else { continue };
        if message.routing_key != group || members.len() >= MOST_MEMBERS {
            continue;
        }
        if beat.leaving {
            members.remove(&beat.member);
            continue;
        }
        let Beat { member, used, program, deployment, out, .. } = *beat;
        let known = Member {
            program,
            deployment,
            member: member.clone(),
            calls_per_5_minutes: used as f64,
            services_out: out,
        };
        members.insert(member, known);
    }
    let _ = tokio::time::timeout(ANSWER, connection.close(200, "seen".into())).await;
    Ok(members.into_values().collect())
}
