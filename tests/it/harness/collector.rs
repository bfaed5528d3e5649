//! A collector of traces, as OTLP over HTTP has it.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A span with the service that sent it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) span: Span,
}

impl Sent {
    pub(crate) fn attribute(&self, key: &str) -> Option<String> {
        text(&self.span.attributes, key)
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(value) => Some(value.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

#[derive(Default)]
struct Received {
    spans: Vec<Sent>,
    /// Everything that was sent, heads included.
    bytes: Vec<u8>,
    requests: usize,
}

/// Answers everything with this status.
pub(crate) struct Collector {
    pub(crate) endpoint: String,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    pub(crate) async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received: Arc<Mutex<Received>> = Arc::default();
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, status, Arc::clone(&kept)));
            }
        });
        Self { endpoint, received }
    }

    pub(crate) fn spans(&self) -> Vec<Sent> {
        self.received.lock().unwrap().spans.clone()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.received.lock().unwrap().bytes.clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.received.lock().unwrap().requests
    }
}

/// Answers the requests of a connection, one after another.
async fn answer(connection: TcpStream, status: u16, received: Arc<Mutex<Received>>) {
    let mut connection = BufReader::new(connection);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let before = head.len();
            if connection.read_line(&mut head).await.unwrap_or(0) == 0 {
                return;
            }
            let line = head[before..].trim().to_ascii_lowercase();
            if let Some(bytes) = line.strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.unwrap();
        {
            let mut received = received.lock().unwrap();
            received.requests += 1;
            received.bytes.extend(head.as_bytes());
            received.bytes.extend(&body);
            assert!(head.starts_with("POST /v1/traces "), "{head}");
            assert!(head.to_ascii_lowercase().contains("content-type: application/x-protobuf"), "{head}");
            for resource in ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans {
                let attributes = resource.resource.unwrap().attributes;
                let [service, instance] =
                    ["service.name", "service.instance.id"].map(|key| text(&attributes, key).unwrap());
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                received.spans.extend(spans.map(|span| Sent {
                    service: service.clone(),
                    instance: instance.clone(),
                    span,
                }));
            }
        }
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
        );
        if connection.write_all(head.as_bytes()).await.is_err() {
            return;
        }
    }
}
