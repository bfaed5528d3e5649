//! The page that a program of the fleet serves about itself.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

/// No program needs longer to say what it is to say.
const PATIENCE: Duration = Duration::from_mins(2);

/// Waits until the page at this path shows a text.
pub(crate) async fn shows(port: u16, path: &str, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let asking = tokio::time::timeout(PATIENCE, page(port, path)).await;
        let page = asking.ok().and_then(Result::ok).unwrap_or_default();
        if page.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "{path} does not show {text}: {page}");
        // A page does not say when it changes.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn page(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
