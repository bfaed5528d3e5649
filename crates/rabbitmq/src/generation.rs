//! Keeps this release and the one before it apart. They share the request budget and lease assets by different rules,
//! so neither may work while the other does. Both announce themselves through an exchange of the same name: a fanout
//! exchange there, a topic exchange here. The broker refuses a process that declares it as the other type.

use lapin::Connection;
use lapin::options::ExchangeDeleteOptions;

use super::topology::Topology;
use amqp::{ConnectError, in_time};

/// Declares the exchange as this release's, unless a process of the earlier release is running.
pub(super) async fn supersede(connection: &Connection) -> Result<(), ConnectError> {
    for _ in 0..2 {
        match declare(connection).await {
            Err(ConnectError::Misconfigured(_)) => {}
            ended => return ended,
        }
        // Each running process has a queue bound to the exchange, so it counts as used. Another process may do the same
        // right now.
        match delete_unused(connection).await {
            Ok(()) | Err(ConnectError::Misconfigured(_)) => {}
            ended => return ended,
        }
    }
    declare(connection).await.map_err(|trouble| match trouble {
        ConnectError::Misconfigured(_) => ConnectError::Misconfigured(format!(
            "processes of an earlier release are at work in this virtual host of the broker, and this one cannot work with \
             them: stop every producer and worker there, then start this release. If none is running, something else is \
             bound to the exchange {}: delete that exchange",
            Topology::control()
        )),
        ConnectError::Refused(_) | ConnectError::Unreachable(_) => trouble,
    })
}

async fn declare(connection: &Connection) -> Result<(), ConnectError> {
    let declaring = async {
        let channel = connection.create_channel().await?;
        Topology::declare_control(&channel).await?;
        let _ = channel.close(200, "declared".into()).await;
        Ok(())
    };
    in_time(declaring).await
}

async fn delete_unused(connection: &Connection) -> Result<(), ConnectError> {
    let deleting = async {
        let channel = connection.create_channel().await?;
        let options = ExchangeDeleteOptions { if_unused: true, ..ExchangeDeleteOptions::default() };
        channel.exchange_delete(Topology::control(), options).await?;
        let _ = channel.close(200, "deleted".into()).await;
        Ok(())
    };
    in_time(deleting).await
}
