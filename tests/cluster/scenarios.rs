//! What becomes of the nodes.

use std::time::Duration;

use crate::harness::until;
use crate::nodes::Cluster;
use crate::run::{HOME, Run};

/// Contact with a majority counts for six seconds, and what was begun then takes its time.
const CONTACT: Duration = Duration::from_secs(9);
/// Jobs of each worker at once, with which four workers have more than 32 consumers of a queue.
const MANY: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_dies_and_comes_back() {
    let cluster = Cluster::start().await;
    let run = Run::start(&cluster, 150).await;
    let doomed = (HOME + 1) % 3;
    cluster.node(doomed).kill();
    run.say("a node is dead");
    // Without those whose lease is there.
    run.more(10).await;
    cluster.node(doomed).restart().await;
    cluster.until_running([0, 1, 2]).await;
    run.say("it is back");
    run.end("a node dies and comes back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_dies_of_a_queue_with_more_than_32_consumers() {
    let cluster = Cluster::start().await;
    let run = Run::start_with(&cluster, 150, MANY).await;
    let doomed = (HOME + 1) % 3;
    cluster.node(doomed).kill();
    run.say("a node is dead");
    run.more(10).await;
    cluster.node(doomed).restart().await;
    cluster.until_running([0, 1, 2]).await;
    run.say("it is back");
    let name = "a node of a queue with many consumers dies";
    if cluster.keeps_order().await { run.end(name).await } else { run.end_in_two_runs(name).await }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_of_the_tokens_dies_and_comes_back() {
    let cluster = Cluster::start().await;
    let run = Run::start(&cluster, 100).await;
    cluster.node(HOME).kill();
    run.say("the node of the tokens is dead");
    // The doctor is to report what stays, not what the first seconds look like.
    tokio::time::sleep(CONTACT).await;
    let doctor = run.fleet.bench.run(&["doctor"]).await;
    let line = "WARN  broker queues: connector.tokens.";
    assert!(doctor.out.contains(line) && !doctor.out.contains("not declared"), "{doctor:?}");
    cluster.node(HOME).restart().await;
    run.say("it is back");
    run.end("the node of the tokens dies and comes back").await;
}

/// Fails if the worker of a node changes anything in this time. It sleeps because no event shows that nothing happens.
async fn assert_idle(run: &Run, node: usize, time: Duration) {
    tokio::time::sleep(CONTACT).await;
    let before = run.effects_of(node).await;
    tokio::time::sleep(time).await;
    let after = run.effects_of(node).await;
    run.say(&format!("the worker there has changed {} things in {} s", after - before, time.as_secs()));
    assert_eq!(before, after, "a worker without a majority works");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cut_off_and_pauses() {
    let cluster = Cluster::start().await;
    let run = Run::start(&cluster, 150).await;
    let minority = (HOME + 1) % 3;
    cluster.cut_off(minority).await;
    run.say("a node is cut off");
    run.more(5).await;
    assert_idle(&run, minority, Duration::from_secs(12)).await;
    cluster.heal(minority).await;
    cluster.until_running([0, 1, 2]).await;
    run.say("it is back");
    run.end("a node is cut off and pauses").await;
}

/// As where `cluster_partition_handling` is `ignore`: what is on the node goes on there, tokens and leases among it.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cut_off_and_does_not_pause() {
    let cluster = Cluster::start().await;
    for node in 0..3 {
        let ignore = "application:set_env(rabbit, cluster_partition_handling, ignore).";
        cluster.node(node).control(&["eval", ignore]).await;
    }
    let run = Run::start(&cluster, 150).await;
    let minority = HOME;
    cluster.cut_off(minority).await;
    run.say("the node of the tokens is cut off");
    assert_idle(&run, minority, Duration::from_secs(12)).await;
    cluster.heal(minority).await;
    // What a person has to do then.
    cluster.node(minority).control(&["stop_app"]).await;
    cluster.node(minority).control(&["start_app"]).await;
    cluster.until_running([0, 1, 2]).await;
    run.say("it is back");
    run.end("a node is cut off and does not pause").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stands_still_until_the_others_give_it_up() {
    let cluster = Cluster::start().await;
    let run = Run::start(&cluster, 150).await;
    let still = HOME;
    cluster.stand_still(still, true);
    run.say("the node of the tokens stands still");
    assert_idle(&run, still, Duration::from_secs(20)).await;
    cluster.stand_still(still, false);
    // It saw the partition end before it saw it begin, and stays apart with tables of its own: a person has to restart it.
    cluster.node(still).restart().await;
    cluster.until_running([0, 1, 2]).await;
    run.say("it is back");
    run.end("a node stands still").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_are_restarted_one_after_the_other() {
    let cluster = Cluster::start().await;
    let run = Run::start(&cluster, 150).await;
    for node in 0..3 {
        cluster.node(node).stop().await;
        cluster.node(node).restart().await;
        cluster.until_running([0, 1, 2]).await;
        run.say(&format!("node {node} was restarted"));
    }
    run.end("rolling restart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_gone_for_good() {
    let cluster = Cluster::start().await;
    let run = Run::start(&cluster, 100).await;
    let gone = HOME;
    cluster.node(gone).kill();
    run.say("the node of the tokens is gone");
    until(|| run.fleet.worker_logs().contains("forget_cluster_node")).await;
    let other = cluster.node((gone + 1) % 3);
    other.control(&["forget_cluster_node", cluster.name(gone)]).await;
    run.say("it is forgotten, as the log asks");
    run.end("a node is gone for good").await;
}
