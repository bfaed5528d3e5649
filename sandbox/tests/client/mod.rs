//! A simple client of the sandbox that can commit violations.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response, StatusCode};
use sandbox::{Announcement, Sandbox};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) struct Client {
    pub(crate) sandbox: Sandbox,
    at: Announcement,
    http: reqwest::Client,
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A marker that names one protected file.
pub(crate) fn record(original: &[u8], result: &[u8], version: u32) -> String {
    format!("{} {} v{version} {}", sha256(original), sha256(result), result.len())
}

impl Client {
    pub(crate) fn new(sandbox: Sandbox) -> Self {
        let http = sandbox::client(Duration::from_mins(1)).unwrap();
        Self { at: sandbox.announcement(), sandbox, http }
    }

    fn portal(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().unwrap();
        self.http.request(method, format!("{}/{path}", self.at.bynder)).bearer_auth(&self.at.token)
    }

    async fn json(request: RequestBuilder) -> Value {
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn look(&self, id: &str) -> u16 {
        self.portal("GET", &format!("api/v4/media/{id}/")).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn modify(&self, id: &str, field: &str, value: &str) {
        let request = self.portal("POST", &format!("api/v4/media/{id}/")).form(&[(field, value)]);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    }

    pub(crate) async fn mark(&self, id: &str, text: &str) {
        let all = Self::json(self.portal("GET", "api/v4/metaproperties/")).await;
        let field = format!("metaproperty.{}", all["Imatag_Hash"]["id"].as_str().unwrap());
        self.modify(id, &field, text).await;
    }

    pub(crate) async fn download(&self, id: &str, leak: bool) {
        let place = Self::json(self.portal("GET", &format!("api/v4/media/{id}/download/"))).await;
        let mut request = self.http.get(place["s3_file"].as_str().unwrap());
        if leak {
            request = request.bearer_auth(&self.at.token);
        }
        request.send().await.unwrap();
    }

    /// Submits a file to Imatag; returns the response.
    pub(crate) async fn submit(&self, id: &str, file: &[u8], directory: &str, with_id: bool) -> Value {
        self.submit_named("a.png", id, file, directory, with_id).await
    }

    /// Like `submit`, with this file name in the header of the part.
    pub(crate) async fn submit_named(
        &self,
        name: &str,
        id: &str,
        file: &[u8],
        directory: &str,
        with_id: bool,
    ) -> Value {
        let metadata =
            if with_id { json!({"bynder_media_id": id, "original_sha256": sha256(file)}) } else { json!({}) };
        let form = Form::new()
            .text("filename", "a.png")
            .text("directory", directory.to_owned())
            .text("metadata", metadata.to_string())
            .part("file", named(file, name));
        let request = self.http.post(format!("{}/media/", self.at.imatag)).multipart(form);
        Self::json(request.header("Authorization", format!("Token {}", self.at.api_key))).await
    }

    /// Submits a file for an asset; returns the watermarked file.
    pub(crate) async fn watermark(&self, id: &str, file: &[u8]) -> Vec<u8> {
        let link = self.watermarked_at(id, file).await;
        self.http.get(link).send().await.unwrap().bytes().await.unwrap().to_vec()
    }

    /// Submits a PNG, and fetches the watermarked file but for its last byte, which it guesses.
    pub(crate) async fn watermark_but_its_end(&self, id: &str, file: &[u8]) -> Vec<u8> {
        let link = self.watermarked_at(id, file).await;
        let of = |range: String| self.http.get(&link).header("Range", range).send();
        let head = of("bytes=0-0".to_owned()).await.unwrap();
        let (_, length) = head.headers()["content-range"].to_str().unwrap().rsplit_once('/').unwrap();
        let last_but_one = length.parse::<u64>().unwrap() - 2;
        let mut got = of(format!("bytes=0-{last_but_one}")).await.unwrap().bytes().await.unwrap().to_vec();
        got.push(0x82);
        got
    }

    /// Submits a file for an asset; returns the address of the watermarked file.
    async fn watermarked_at(&self, id: &str, file: &[u8]) -> String {
        let medium = self.submit(id, file, "sandbox/bynder", true).await["id"].as_str().unwrap().to_owned();
        let answer = asked_until(StatusCode::FOUND, || {
            let url = format!("{}/media/{medium}/watermarked/", self.at.imatag);
            self.http.get(url).header("Authorization", format!("Token {}", self.at.api_key))
        });
        answer.await.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Uploads a file in one part and registers it; returns upload id, target and key.
    async fn send(&self, name: &str, file: &[u8]) -> [String; 3] {
        let place = Self::json(self.portal("POST", "api/upload/init").form(&[("filename", name)])).await;
        let key = format!("{}/p1", place["s3_filename"].as_str().unwrap());
        let mut form = Form::new();
        for (name, value) in place["multipart_params"].as_object().unwrap() {
            let value = if name == "key" { key.clone() } else { value.as_str().unwrap().to_owned() };
            form = form.text(name.clone(), value);
        }
        form =
            form.text("name", "a.png").text("chunk", "1").text("chunks", "1").text("Filename", key.clone());
        form = form.part("file", named(file, "a.png"));
        let endpoint = Self::json(self.portal("GET", "api/upload/endpoint")).await;
        let sent = self.http.post(endpoint.as_str().unwrap()).multipart(form).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::CREATED);
        let (upload, target) =
            (place["s3file"]["uploadid"].as_str().unwrap(), place["s3file"]["targetid"].as_str().unwrap());
        let form = [("id", upload), ("targetid", target), ("filename", &key), ("chunkNumber", "1")];
        assert_eq!(
            self.portal("POST", "api/v4/upload/").form(&form).send().await.unwrap().status(),
            StatusCode::ACCEPTED
        );
        [upload.to_owned(), target.to_owned(), key]
    }

    /// Uploads a file and saves it at this path with these fields.
    async fn save_at(&self, path: &str, fields: &[(&str, &str)], name: &str, file: &[u8]) -> Value {
        let [upload, target, key] = self.send(name, file).await;
        let form = [
            ("targetid", target.as_str()),
            ("s3_filename", &key),
            ("chunks", "1"),
            ("original_filename", name),
        ];
        // With the id in the path, as other clients send it.
        let finalised =
            Self::json(self.portal("POST", &format!("api/v4/upload/{upload}/")).form(&form)).await;
        let import = finalised["importId"].as_str().unwrap();
        let request = || self.portal("POST", &format!("{path}/{import}/")).form(fields);
        asked_until(StatusCode::CREATED, request).await.json().await.unwrap()
    }

    /// Uploads a file and saves it as the asset's new version.
    pub(crate) async fn save(&self, id: &str, file: &[u8]) {
        self.save_named(id, "a.png", file).await;
    }

    /// Uploads a file under this name and saves it as the asset's new version.
    pub(crate) async fn save_named(&self, id: &str, name: &str, file: &[u8]) {
        self.save_at(&format!("api/v4/media/{id}/save"), &[], name, file).await;
    }

    /// Uploads a file and saves it as a new asset with this asset's metadata and the marker; returns its id.
    pub(crate) async fn copy(&self, id: &str, file: &[u8], marker: &str) -> String {
        let words = Self::json(self.portal("GET", &format!("api/v4/media/{id}/"))).await;
        let all = Self::json(self.portal("GET", "api/v4/metaproperties/")).await;
        let field = format!("metaproperty.{}", all["Imatag_Hash"]["id"].as_str().unwrap());
        let word = |name: &str| words[name].as_str().unwrap_or_default();
        let fields = [
            ("name", word("name")),
            ("description", word("description")),
            ("copyright", word("copyright")),
            ("brandId", word("brandId")),
            (field.as_str(), marker),
        ];
        let saved = self.save_at("api/v4/media/save", &fields, "a.png", file).await;
        saved["mediaid"].as_str().unwrap().to_owned()
    }

    /// Uploads a file and saves it as an additional file of the asset.
    pub(crate) async fn add(&self, id: &str, file: &[u8]) {
        let [upload, target, key] = self.send("more.png", file).await;
        let path = format!("api/v4/media/{id}/save/additional/{upload}/");
        let form = [("targetid", target.as_str()), ("s3_filename", &key), ("chunks", "1")];
        let saved = self.portal("POST", &path).form(&form).send().await.unwrap();
        assert_eq!(saved.status(), StatusCode::CREATED);
    }

    /// Protects the asset correctly; returns the watermarked file.
    pub(crate) async fn protect(&self, id: &str, original: &[u8]) -> Vec<u8> {
        let result = self.watermark(id, original).await;
        self.mark(id, &record(original, &result, 2)).await;
        self.look(id).await;
        self.save(id, &result).await;
        result
    }
}

/// Polls until the response has this status, because neither service sends notifications.
async fn asked_until(status: StatusCode, request: impl Fn() -> RequestBuilder) -> Response {
    let asking = async {
        loop {
            let answer = request().send().await.unwrap();
            if answer.status() == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it is never done")
}

#[expect(clippy::disallowed_methods, reason = "a client that sends any name has to be possible")]
fn named(file: &[u8], name: &str) -> Part {
    Part::bytes(file.to_vec()).file_name(name.to_owned())
}
