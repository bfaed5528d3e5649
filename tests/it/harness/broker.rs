//! A real RabbitMQ of the tests' own: own ports, own data folder, own node name, gone with the tests.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// No start takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What keeps the server from outliving the tests: it runs beside something that reads a pipe of this process, and
/// all of them die when that ends. The name server that Erlang starts detaches itself, so it is told to go.
const WATCHDOG: &str =
    r#""$1"/rabbitmq-server </dev/null & cat >/dev/null; epmd -kill >/dev/null 2>&1; kill -KILL 0"#;

/// The prefixes of the tests' fleets, as a pattern.
const FLEETS: &str = "test[0-9]+";

/// A RabbitMQ server.
pub(crate) struct Broker {
    folder: tempfile::TempDir,
    port: u16,
    environment: Vec<(&'static str, String)>,
    /// User and password.
    credentials: String,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    _pipe: ChildStdin,
}

/// Where a server runs: nodes of one cluster share the name server and the folder with its cookie.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) home: PathBuf,
    pub(crate) names: u16,
    pub(crate) port: u16,
}

impl Seat {
    /// What Erlang calls the node.
    pub(crate) fn node(&self) -> String {
        format!("connector{}@localhost", self.port)
    }
}

static SHARED: OnceCell<Broker> = OnceCell::const_new();

impl Broker {
    /// One server for all tests that leave it as it is; their names on it differ.
    pub(crate) async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// A server of one test's own.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`Broker::start`], with further lines of configuration.
    pub(crate) async fn start_with(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [names, port] = free_ports();
        let seat = Seat { home: folder.path().to_owned(), names, port };
        Self::start_in(folder, &seat, "[].", configuration, "guest:guest").await
    }

    /// As [`Broker::start_with`], with the plugins and the configuration that compose mounts, and with the users that
    /// operators make.
    pub(crate) async fn start_as_deployed(configuration: &str) -> Self {
        let deployed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/rabbitmq");
        let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut making = Command::new(deployed.join("make-secrets"));
        let made = making.arg("of-a-test").current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let secrets = folder.path().join("secrets");
        // Each fleet of a test has a prefix of its own.
        let made = read(secrets.join("definitions"));
        assert!(made.contains("of-a-test"), "{made}");
        let definitions = folder.path().join("definitions");
        std::fs::write(&definitions, made.replace("of-a-test", FLEETS)).unwrap();
        let definitions = format!("load_definitions = {}", definitions.display());
        let mounted = "load_definitions = /run/secrets/definitions";
        let configuration = format!("{}\n{configuration}", read(deployed.join("connector.conf")));
        assert!(configuration.contains(mounted));
        let configuration = configuration.replace(mounted, &definitions);
        let url = read(secrets.join("broker"));
        let credentials = url.strip_prefix("amqp://").unwrap().split('@').next().unwrap();
        let [names, port] = free_ports();
        let seat = Seat { home: folder.path().to_owned(), names, port };
        let plugins = read(deployed.join("enabled_plugins"));
        Self::start_in(folder, &seat, &plugins, &configuration, credentials).await
    }

    /// As [`Broker::start_as_deployed`], with its exporter; returns the exporter's port as well.
    pub(crate) async fn start_watched() -> (Self, u16) {
        let [exporter, management] = free_ports();
        let configuration = format!(
            "prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {exporter}\nmanagement.tcp.port = {management}"
        );
        (Self::start_as_deployed(&configuration).await, exporter)
    }

    /// A server on this seat.
    pub(crate) async fn start_in(
        folder: tempfile::TempDir,
        seat: &Seat,
        plugins: &str,
        configuration: &str,
        credentials: &str,
    ) -> Self {
        let [distribution] = free_ports();
        let port = seat.port;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let text = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users = none\ndisk_free_limit.absolute = 50MB\n{configuration}\n"
        );
        std::fs::write(path("rabbitmq.conf"), text).unwrap();
        std::fs::write(path("plugins"), plugins).unwrap();
        // Looks for deliveries beyond their time every second instead of every minute.
        std::fs::write(path("advanced.config"), "[{rabbit, [{channel_tick_interval, 1000}]}].").unwrap();
        let environment = vec![
            ("HOME", seat.home.display().to_string()),
            ("RABBITMQ_NODENAME", seat.node()),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("ERL_EPMD_PORT", seat.names.to_string()),
            // Lets the name server be told to go while the node is still there.
            ("ERL_EPMD_RELAXED_COMMAND_CHECK", "1".to_owned()),
            ("RABBITMQ_MNESIA_BASE", path("data")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config")),
            ("ERL_CRASH_DUMP", "/dev/null".to_owned()),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
            ("RABBITMQ_PID_FILE", path("pid")),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2".to_owned()),
        ];
        let broker = Self {
            folder,
            port,
            environment,
            credentials: credentials.to_owned(),
            running: Mutex::default(),
        };
        broker.restart().await;
        broker
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    pub(crate) fn url(&self) -> String {
        url(self.address()).replace("guest:guest", &self.credentials)
    }

    /// Starts it, again if need be, on the same port with the same data; ready when this returns.
    pub(crate) async fn restart(&self) {
        self.kill();
        let log = File::create(self.folder.path().join("out")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "sh"]).arg(scripts()).envs(self.environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let mut child = command.spawn().unwrap();
        let pipe = child.stdin.take().unwrap();
        *self.lock() = Some(Running { child, _pipe: pipe });
        let ready = async {
            // RabbitMQ does not report to the process that starts it.
            while !self.answers().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            let log = std::fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
            panic!("RabbitMQ does not start: {log}");
        }
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
        if let Some(mut running) = self.lock().take() {
            let _ = running.child.wait();
        }
    }

    /// Sends a signal to the server and what it started.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(running) = self.lock().as_ref() {
            let _ = killpg(Pid::from_raw(running.child.id().cast_signed()), signal);
        }
    }

    /// Kills it, takes its data away and starts it empty, as when its volume is lost.
    pub(crate) async fn lose_volume(&self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("data")).unwrap();
        self.restart().await;
    }

    /// Stops it in order.
    pub(crate) async fn stop(&self) {
        self.control(&["stop"]).await;
        self.kill();
    }

    /// Runs `rabbitmqctl`; returns what it prints.
    pub(crate) async fn control(&self, arguments: &[&str]) -> String {
        let output = self.controlled(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `rabbitmqctl`, whether it succeeds or not.
    pub(crate) async fn controlled(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(scripts().join("rabbitmqctl"));
        command.args(["-q"]).args(arguments).envs(self.environment.iter().cloned()).stdin(Stdio::null());
        command.output().await.unwrap()
    }

    /// Stops what runs each queue whose name begins so, as where a quorum queue has no leader: it answers nothing.
    pub(crate) async fn suspend(&self, begin: &str) {
        let is_one = format!("string:prefix(element(4, amqqueue:get_name(Q)), <<\"{begin}\">>) =/= nomatch");
        let list = format!("[sys:suspend(amqqueue:get_pid(Q)) || Q <- rabbit_amqqueue:list(), {is_one}].");
        let suspended = self.control(&["eval", &list]).await;
        assert!(suspended.contains("ok"), "no queue begins with {begin}");
    }

    async fn answers(&self) -> bool {
        let greeting = async {
            let mut stream = TcpStream::connect(self.address()).await.ok()?;
            stream.write_all(b"AMQP\x00\x00\x09\x01").await.ok()?;
            stream.read_u8().await.ok()
        };
        tokio::time::timeout(Duration::from_secs(5), greeting).await.ok().flatten().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let _ = Command::new("epmd").arg("-kill").envs(self.environment.iter().cloned()).output();
    }
}

/// The URL of a broker, or of something before it, at this address.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("amqp://guest:guest@{address}/%2f")
}

/// Debian's own scripts; the ones on the path insist on the user `rabbitmq`. Another release's, where `RABBITMQ_UNDER_TEST`
/// names their folder.
fn scripts() -> PathBuf {
    if let Some(folder) = std::env::var_os("RABBITMQ_UNDER_TEST") {
        return folder.into();
    }
    let servers = std::fs::read_dir("/usr/lib/rabbitmq/lib").into_iter().flatten().flatten();
    let found =
        servers.map(|entry| entry.path().join("sbin")).find(|path| path.join("rabbitmq-server").exists());
    found.unwrap_or_else(|| Path::new("RabbitMQ is missing: apt-get install rabbitmq-server").to_owned())
}

/// Below the ports that the system gives to whoever asks for any, so that none of those takes one meanwhile.
const PORTS: std::ops::Range<u32> = 18_000..32_000;

/// Ports that nobody listens on right now, and that no other test of this process is given.
pub(crate) fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Two runs of the tests at once begin elsewhere.
    let start = std::process::id().wrapping_mul(97);
    std::array::from_fn(|_| {
        let ports = std::iter::repeat_with(|| {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            u16::try_from(PORTS.start + offset % (PORTS.end - PORTS.start)).expect("the range has ports only")
        });
        let mut free = ports.filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
        free.next().expect("the iterator is endless")
    })
}
