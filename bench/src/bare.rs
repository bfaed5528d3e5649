//! The bare loop: the same calls without queue, ledger, checks, retries and budget, and without hashes except the one that the
//! sandbox requires. It shows what this machine and the sandbox can do at best.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use futures::StreamExt;
use reqwest::Client;
use reqwest::multipart::Form;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How to reach the services.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    bynder: String,
    #[arg(long)]
    token: String,
    #[arg(long)]
    imatag: String,
    #[arg(long)]
    key: String,
    #[arg(long)]
    directory: String,
    /// Assets worked on at once.
    #[arg(long)]
    at_once: usize,
}

struct Services {
    client: Client,
    arguments: Arguments,
    metaproperty: String,
    /// The URL for parts; the same for all files.
    storage: String,
}

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let client = http_client::local_client(Duration::from_mins(1))?;
    let mut services = Services { client, arguments, metaproperty: String::new(), storage: String::new() };
    let all = services.bynder("/v4/metaproperties/").await?;
    let mut all = all.as_object().into_iter().flat_map(|all| all.values());
    let own =
        all.find(|metaproperty| metaproperty["name"] == "imatag_hash").context("no hash metaproperty")?;
    services.metaproperty = own["id"].as_str().context("a metaproperty without an id")?.to_owned();
    let storage = services.bynder("/upload/endpoint/").await?;
    services.storage = storage.as_str().context("no storage")?.to_owned();
    let services = Arc::new(services);
    let mut page = 1;
    loop {
        let rows = services
            .bynder(&format!(
                "/v4/media/?limit=1000&page={page}&orderBy=dateCreated%20asc&includeVersionNumber=1"
            ))
            .await?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        let last = rows.len() < 1000;
        let work = rows.into_iter().map(|row| {
            let services = Arc::clone(&services);
            tasks::brief(async move { services.protect(&row).await })
        });
        // Tasks use all cores; the window bounds memory.
        let mut ended = futures::stream::iter(work).buffer_unordered(services.arguments.at_once);
        while let Some(ended) = ended.next().await {
            ended??;
        }
        if last {
            return Ok(());
        }
        page += 1;
    }
}

impl Services {
    async fn bynder(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api{path}", self.arguments.bynder);
        answer(self.client.get(url).bearer_auth(&self.arguments.token)).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = format!("{}/api{path}", self.arguments.bynder);
        answer(self.client.post(url).bearer_auth(&self.arguments.token).form(form)).await
    }

    fn imatag(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.header("authorization", format!("Token {}", self.arguments.key))
    }

    async fn protect(&self, row: &Value) -> anyhow::Result<()> {
        let (id, name) = (row["id"].as_str().context("no id")?, row["name"].as_str().unwrap_or("x.jpg"));
        let place = self.bynder(&format!("/v4/media/{id}/download/")).await?;
        let original =
            self.client.get(place["s3_file"].as_str().context("no link")?).send().await?.bytes().await?;
        let watermarked = self.watermark(id, name, original.to_vec()).await?;
        let import = self.upload(name, watermarked.clone()).await?;
        let marker = format!("{:064x} {:064x} v2 {}", 1, 2, watermarked.len());
        let field = format!("metaproperty.{}", self.metaproperty);
        self.post(&format!("/v4/media/{id}/"), &[(&field, &marker)]).await?;
        loop {
            let polled = self.bynder(&format!("/v4/upload/poll/?items={import}")).await?;
            if polled["itemsDone"].as_array().is_some_and(|done| !done.is_empty()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.bynder(&format!("/v4/media/{id}/?versions=1")).await?;
        self.post(&format!("/v4/media/{id}/save/{import}/"), &[]).await?;
        Ok(())
    }

    async fn watermark(&self, id: &str, name: &str, original: Vec<u8>) -> anyhow::Result<bytes::Bytes> {
        let media = format!("{}/media/", self.arguments.imatag);
        let search = [("directory", self.arguments.directory.as_str()), ("metadata__bynder_media_id", id)];
        answer(self.imatag(self.client.get(&media).query(&search))).await?;
        // The sandbox requires the hash, which distinguishes the files of an asset.
        let (hash, length) = (hex::encode(Sha256::digest(&original)), original.len() as u64);
        let form = Form::new()
            .text("filename", name.to_owned())
            .text("directory", self.arguments.directory.clone())
            .text("metadata", json!({"bynder_media_id": id, "original_sha256": hash}).to_string())
            .part("file", http_client::part(original, length, name));
        let submitted = answer(self.imatag(self.client.post(&media).multipart(form))).await?;
        let medium = submitted["id"].as_str().context("no medium")?;
        loop {
            let status = answer(self.imatag(self.client.get(format!("{media}{medium}/")))).await?;
            if status["status"] == "ready" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let result = self.imatag(self.client.get(format!("{media}{medium}/watermarked/"))).send().await?;
        // The link is signed: no credential is sent.
        let link = result.headers().get("location").context("no link")?.to_str()?;
        Ok(self.client.get(link).send().await?.error_for_status()?.bytes().await?)
    }

    async fn upload(&self, name: &str, file: bytes::Bytes) -> anyhow::Result<String> {
        let place = self.post("/upload/init/", &[("filename", name)]).await?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = format!("{}/p1", text(&place["s3_filename"]));
        let mut form = Form::new();
        for (field, value) in place["multipart_params"].as_object().context("no fields")? {
            form = form.text(field.clone(), if field == "key" { key.clone() } else { text(value) });
        }
        form = form.text("name", name.to_owned()).text("chunk", "1").text("chunks", "1");
        let length = file.len() as u64;
        form = form.text("Filename", key.clone()).part("file", http_client::part(file, length, name));
        self.client.post(&self.storage).multipart(form).send().await?.error_for_status()?;
        let (id, target) = (text(&place["s3file"]["uploadid"]), text(&place["s3file"]["targetid"]));
        let register = [("id", id.as_str()), ("targetid", &target), ("filename", &key), ("chunkNumber", "1")];
        self.post("/v4/upload/", &register).await?;
        let whole = text(&place["s3_filename"]);
        let finish = [("id", id.as_str()), ("targetid", &target), ("s3_filename", &whole), ("chunks", "1")];
        let import = self.post(&format!("/v4/upload/{id}/"), &finish).await?;
        Ok(text(&import["importId"]))
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request.send().await?.error_for_status()?;
    Ok(serde_json::from_slice(&response.bytes().await?)?)
}
