//! A real browser without a screen, driven by its own driver, and axe in it.

use std::process::Stdio;
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;
use url::Url;

use super::broker::free_ports;
use super::{PATIENCE, npm, until_async};

/// How people look at a page.
const LOOKS: [Look; 4] = [
    Look { width: 1280, scheme: "light" },
    Look { width: 1280, scheme: "dark" },
    Look { width: 390, scheme: "light" },
    Look { width: 390, scheme: "dark" },
];

/// A window of this width, and the colours that its owner prefers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) scheme: &'static str,
}

/// A command of Chromium's own protocol, which its driver passes on.
#[derive(Debug)]
struct OfChromium(Value);

impl WebDriverCompatibleCommand for OfChromium {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.0.to_string()))
    }
}

/// A browser at a page; it ends with this.
pub(crate) struct Browser {
    pub(crate) client: Client,
    origin: String,
    folder: tempfile::TempDir,
    _driver: Child,
}

impl Browser {
    /// Starts it; paths are those of the page on this port.
    pub(crate) async fn start(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [at] = free_ports();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={at}")).env("HOME", folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver =
            command.spawn().expect("chromedriver is missing: apt-get install chromium chromium-driver");
        until_async(async || TcpStream::connect(("127.0.0.1", at)).await.is_ok()).await;
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        // A container's user and its small /dev/shm; a proxy has no part in asking this machine.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
            &profile,
        ];
        let capabilities = json!({"goog:chromeOptions": {"args": arguments}});
        let capabilities: Capabilities = serde_json::from_value(capabilities).unwrap();
        let mut connection = ClientBuilder::new(HttpConnector::new());
        let connecting = connection.capabilities(capabilities);
        let client = connecting.connect(&format!("http://127.0.0.1:{at}")).await;
        let client = client.expect("the browser does not start: apt-get install chromium chromium-driver");
        let browser = Self { client, origin: format!("http://localhost:{port}"), folder, _driver: driver };
        // The pages need none.
        browser.scripts(false).await;
        browser.look(LOOKS[0]).await;
        browser
    }

    async fn command(&self, name: &str, parameters: Value) -> Value {
        let command = OfChromium(json!({"cmd": name, "params": parameters}));
        self.client.issue_cmd(command).await.unwrap()
    }

    /// Whether JavaScript is on.
    async fn scripts(&self, are_on: bool) {
        self.command("Emulation.setScriptExecutionDisabled", json!({"value": !are_on})).await;
    }

    pub(crate) async fn look(&self, Look { width, scheme }: Look) {
        let size = json!({"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", size).await;
        let preferred = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", preferred).await;
    }

    pub(crate) async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.origin)).await.unwrap();
    }

    /// What the page says.
    pub(crate) async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// Opens the page again until what it says is right.
    pub(crate) async fn until(&self, path: &str, is_right: impl Fn(&str) -> bool) {
        let mut said = String::new();
        let waiting = async {
            loop {
                self.open(path).await;
                said = self.text().await;
                if is_right(&said) {
                    return;
                }
                // A page does not say when it changes.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let is_said = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(is_said, "{path} never says it: {said}");
    }

    /// Presses the link or button with this text, and waits for the page that follows.
    pub(crate) async fn press(&self, text: &str) {
        let found = format!("//main//*[self::a or self::button][normalize-space()='{text}']");
        let pressed = self.client.find(Locator::XPath(&found)).await;
        let pressed = pressed.unwrap_or_else(|error| panic!("{text}: {error}"));
        pressed.clone().click().await.unwrap();
        until_gone(&pressed).await;
    }

    pub(crate) async fn fill(&self, id: &str, text: &str) {
        self.client.find(Locator::Id(id)).await.unwrap().send_keys(text).await.unwrap();
    }

    pub(crate) async fn choose(&self, id: &str, value: &str) {
        self.client.find(Locator::Id(id)).await.unwrap().select_by_value(value).await.unwrap();
    }

    /// The cookies of the page, as a request has them.
    pub(crate) async fn cookies(&self) -> String {
        let cookies = self.client.get_all_cookies().await.unwrap();
        cookies
            .iter()
            .map(|cookie| format!("{}={}", cookie.name(), cookie.value()))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// The same by the keyboard alone.
    pub(crate) async fn tab_to(&self, text: &str) {
        let mut passed = Vec::new();
        for _ in 0..50 {
            self.client.active_element().await.unwrap().send_keys(&Key::Tab.to_string()).await.unwrap();
            let focused = self.client.active_element().await.unwrap();
            let shown = focused.text().await.unwrap();
            if shown.trim() == text {
                focused.send_keys(&Key::Enter.to_string()).await.unwrap();
                return until_gone(&focused).await;
            }
            passed.push(shown);
        }
        panic!("the key Tab does not lead to {text}: {passed:?}");
    }

    /// The pictures of the page that is open: the width of each as it was loaded, 0 if it was not, and as it is shown.
    pub(crate) async fn pictures(&self) -> Vec<(u64, u64)> {
        self.scripts(true).await;
        let widths = "const done = arguments[arguments.length - 1], all = [...document.images];
            const loaded = all.map(image => { image.loading = 'eager'; return image.decode().catch(() => {}); });
            Promise.all(loaded).then(() => done(all.map(image => [image.naturalWidth, image.offsetWidth])));";
        let found = self.client.execute_async(widths, Vec::new()).await.unwrap();
        self.scripts(false).await;
        serde_json::from_value(found).unwrap()
    }

    /// Fails if the page that is open, wide or narrow, light or dark, has a fault of accessibility that axe can see, or is wider than
    /// its window.
    pub(crate) async fn assert_accessible(&self) {
        let address = self.client.current_url().await.unwrap();
        self.scripts(true).await;
        self.client.execute(axe().await, Vec::new()).await.unwrap();
        let run = "const done = arguments[arguments.length - 1];
            axe.run(document).then(found => done(found.violations.map(fault =>
                [fault.id, fault.help, fault.nodes.map(node => node.html)])), error => done(String(error)));";
        let wider = "return document.documentElement.scrollWidth - window.innerWidth";
        for look in LOOKS {
            self.look(look).await;
            let found = self.client.execute_async(run, Vec::new()).await.unwrap();
            assert_eq!(found, Value::Array(Vec::new()), "{address}, {look:?}: {found:#}");
            let wider = self.client.execute(wider, Vec::new()).await.unwrap();
            assert!(wider.as_i64().unwrap() <= 0, "{address}, {look:?}: {wider} pixels are outside");
        }
        self.look(LOOKS[0]).await;
        self.scripts(false).await;
    }
}

/// Waits until the page that has this element has made room for the next.
async fn until_gone(element: &Element) {
    until_async(async || element.tag_name().await.is_err()).await;
}

impl Drop for Browser {
    /// The browser is no child of this process, and outlives its driver.
    fn drop(&mut self) {
        let profile = self.folder.path().display().to_string();
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let id = process.file_name().to_str().and_then(|name| name.parse().ok());
            let arguments = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            if let Some(id) = id.filter(|_| String::from_utf8_lossy(&arguments).contains(&profile)) {
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
    }
}

/// The source of axe, from npm.
async fn axe() -> &'static str {
    static SOURCE: OnceCell<String> = OnceCell::const_new();
    SOURCE
        .get_or_init(async || {
            let folder = npm::installed("page").await;
            std::fs::read_to_string(folder.path().join("node_modules/axe-core/axe.min.js")).unwrap()
        })
        .await
}
