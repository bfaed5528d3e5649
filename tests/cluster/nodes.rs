//! Three nodes of RabbitMQ that are one cluster, on one machine.

use std::net::SocketAddr;

use nix::sys::signal::Signal;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::harness::broker::{Broker, Seat, free_ports};
use crate::harness::until_async;

/// A cluster, and an address that leads to whichever node accepts.
pub(crate) struct Cluster {
    nodes: Vec<Broker>,
    names: Vec<String>,
    balancer: SocketAddr,
    _home: tempfile::TempDir,
    _stop: DropGuard,
}

impl Cluster {
    /// Starts three nodes, which find out within eight seconds that another is silent.
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let [names, ports @ ..] = free_ports::<4>();
        let seats = ports.map(|port| Seat { home: home.path().to_owned(), names, port });
        let mut configuration = "cluster_formation.peer_discovery_backend = classic_config\n\
             cluster_partition_handling = pause_minority\nnet_ticktime = 8\n"
            .to_owned();
        for (number, seat) in (1..).zip(&seats) {
            let line = format!("cluster_formation.classic_config.nodes.{number} = {}\n", seat.node());
            configuration.push_str(&line);
        }
        // All at once: on 4.x each waits for the others.
        let starting = seats.iter().map(|seat| {
            Broker::start_in(tempfile::tempdir().unwrap(), seat, "[].", &configuration, "guest:guest")
        });
        let nodes = futures::future::join_all(starting).await;
        let addresses: Vec<_> = nodes.iter().map(Broker::address).collect();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let balancer = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(balance(listener, addresses)));
        let names = seats.iter().map(Seat::node).collect();
        let cluster = Self { nodes, names, balancer, _home: home, _stop: stop.drop_guard() };
        cluster.until_running([0, 1, 2]).await;
        cluster
    }

    pub(crate) fn node(&self, number: usize) -> &Broker {
        &self.nodes[number]
    }

    /// Leads to whichever node accepts.
    pub(crate) fn url(&self) -> String {
        crate::harness::broker::url(self.balancer)
    }

    /// What Erlang calls a node.
    pub(crate) fn name(&self, number: usize) -> &str {
        &self.names[number]
    }

    /// Whether RabbitMQ brings messages of a dead node's consumers back in the same order at each node, however many consumers there
    /// are: from 4.0 on.
    pub(crate) async fn keeps_order(&self) -> bool {
        let version = self.nodes[0].control(&["version"]).await;
        let major = version.trim().split('.').next().unwrap().parse::<u32>().unwrap();
        major >= 4
    }

    /// Waits until these nodes all say that just they are the cluster's running ones.
    pub(crate) async fn until_running<const COUNT: usize>(&self, numbers: [usize; COUNT]) {
        until_async(async || {
            for number in numbers {
                let look = "lists:sort(rabbit_nodes:all_running()).";
                let seen = self.nodes[number].controlled(&["eval", look]).await.stdout;
                let seen = String::from_utf8_lossy(&seen);
                let all = numbers.iter().all(|number| seen.contains(&self.names[*number]));
                if !all || seen.matches("@localhost").count() != COUNT {
                    return false;
                }
            }
            true
        })
        .await;
    }

    /// Cuts a node off from the two others: their connections end, and none is made.
    pub(crate) async fn cut_off(&self, number: usize) {
        let others: Vec<_> = self.others(number).map(|name| format!("'{name}'")).collect();
        let cut = "erlang:set_cookie(Node, another), erlang:disconnect_node(Node)";
        let call = format!("[begin {cut} end || Node <- [{}]].", others.join(", "));
        self.nodes[number].control(&["eval", &call]).await;
    }

    /// Ends what [`Cluster::cut_off`] began.
    pub(crate) async fn heal(&self, number: usize) {
        for name in self.others(number) {
            let call = format!(
                "erlang:set_cookie('{name}', erlang:get_cookie()), net_kernel:connect_node('{name}')."
            );
            self.nodes[number].control(&["eval", &call]).await;
        }
    }

    /// Lets a node stand still, or continue.
    pub(crate) fn stand_still(&self, number: usize, on: bool) {
        self.nodes[number].signal(if on { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    fn others(&self, number: usize) -> impl Iterator<Item = &str> {
        let others = self.names.iter().enumerate().filter(move |(other, _)| *other != number);
        others.map(|(_, name)| name.as_str())
    }
}

/// Leads each connection to the next node that accepts.
async fn balance(listener: TcpListener, addresses: Vec<SocketAddr>) {
    let mut next = addresses.iter().cycle();
    while let Ok((mut client, _)) = listener.accept().await {
        for address in next.by_ref().take(addresses.len()) {
            if let Ok(mut server) = TcpStream::connect(address).await {
                tokio::spawn(
                    async move { drop(tokio::io::copy_bidirectional(&mut client, &mut server).await) },
                );
                break;
            }
        }
    }
}
