//! Checks what the types cannot express.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use url::Url;

use super::file::{BynderSection, Config, ImatagSection, QueueSection};
use super::secret::{IDENTITY_FILE, identity_file};
use super::{ConfigError, OutputMode, SecretValue, address, page, quiet_hours};
use common::asset::AssetType;
use files::written::{self, Chosen};
use http_client::{LinkHosts, named_files};
use imatag::profile::BUILTIN_NAME;

/// The limit that Bynder publishes.
const PUBLISHED_LIMIT: u32 = 4500;

/// Each is searched before every submit, one after the other.
const MOST_DIRECTORIES: usize = 50;

/// The listing usually lags by seconds, at worst by minutes.
const LONGEST_INDEX_LAG: Duration = Duration::from_hours(1);

/// Each run costs calls, however little it finds.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The broker's default.
const CONSUMER_TIMEOUT: Duration = Duration::from_mins(30);

/// The hosts of Bynder's storage, as far as is known.
const USUAL_STORAGE: [&str; 4] = ["*.amazonaws.com", "*.cloudfront.net", "*.bynder.com", "*.getbynder.com"];

/// The part sizes that S3 accepts, except for the last part.
const PART_SIZES: std::ops::RangeInclusive<u64> = (5 << 20)..=(5 << 30);
/// Each part is a connection, for each file that is being uploaded.
const PARTS_AT_ONCE: std::ops::RangeInclusive<usize> = 1..=16;

/// The keys of all secrets outside lists.
pub(super) const SECRETS: [&str; 9] = [
    "bynder.api_token",
    "bynder.oauth.client_secret",
    "imatag.api_key",
    "imatag.oauth.client_secret",
    "broker.url",
    "broker.message_key",
    "traces.headers",
    "notify.webhook",
    "notify.mail.password",
];

pub(super) fn check(config: &Config) -> Result<Vec<String>, ConfigError> {
    address::check_all(config)?;
    one_of("bynder", "api_token", config.bynder.api_token.is_some(), config.bynder.oauth.is_some())?;
    one_of("imatag", "api_key", config.imatag.api_key.is_some(), config.imatag.oauth.is_some())?;
    directories(&config.imatag)?;
    config.checks.validate()?;
    config.reader.validate()?;
    config.page.validate()?;
    if !(0.0..=1.0).contains(&config.traces.sample) {
        return Err(ConfigError::value("traces.sample", "must be from 0 to 1"));
    }
    config.notify.validate()?;
    rungs(&config.queue, config.worker.request_timeout.0)?;
    if config.worker.concurrency.is_some_and(|most| !(1..=1024).contains(&most)) {
        return Err(ConfigError::value("worker.concurrency", "must be from 1 to 1024"));
    }
    if !(1..=1024).contains(&config.imatag.uploads_in_flight) {
        return Err(ConfigError::value("imatag.uploads_in_flight", "must be from 1 to 1024"));
    }
    if config.worker.max_attempts == 0 {
        return Err(ConfigError::value("worker.max_attempts", "must be at least 1"));
    }
    if config.worker.request_timeout.0 < Duration::from_millis(100) {
        return Err(ConfigError::value("worker.request_timeout", "must be at least 100 ms"));
    }
    if config.bynder.hash_metaproperty.trim().is_empty() {
        return Err(ConfigError::value(
            "bynder.hash_metaproperty",
            "is empty; write the name of a text metaproperty",
        ));
    }
    written_fields(config)?;
    if config.imatag.media_id_metadata.trim().is_empty()
        || config.imatag.media_id_metadata == imatag::ORIGINAL_KEY
    {
        let reason = format!("must be a name of its own, and not {}", imatag::ORIGINAL_KEY);
        return Err(ConfigError::value("imatag.media_id_metadata", reason));
    }
    durations(config)?;
    if !PART_SIZES.contains(&config.bynder.part_size.as_u64()) {
        return Err(ConfigError::value(
            "bynder.part_size",
            "must be from 5MiB to 5GiB, which is what storage takes",
        ));
    }
    if !PARTS_AT_ONCE.contains(&config.bynder.parts_at_once) {
        return Err(ConfigError::value("bynder.parts_at_once", "must be from 1 to 16"));
    }
    let filters = &config.filters;
    if filters.types.iter().chain(&filters.exclude.types).any(|kind| *kind == AssetType::Other) {
        return Err(ConfigError::value(
            "filters.types",
            "the types are image, document, audio, video and 3d",
        ));
    }
    if filters.sample.is_some_and(|part| !(part > 0.0 && part <= 1.0)) {
        return Err(ConfigError::value("filters.sample", "must be above 0 and at most 1; 0.1 is a tenth"));
    }
    if filters.min_size.zip(filters.max_size).is_some_and(|(least, most)| least > most) {
        return Err(ConfigError::value(
            "filters.min_size",
            "is larger than filters.max_size: nothing would match; lower it",
        ));
    }
    if config.output.link_metaproperty.is_some() && config.output.mode != OutputMode::Copy {
        return Err(ConfigError::value(
            "output.link_metaproperty",
            "is only for mode = \"copy\": there is nothing to link otherwise",
        ));
    }
    broker_name("queue.prefix", &config.queue.prefix)?;
    broker_name("bynder.egress_group", &config.bynder.egress_group)?;
    if config.bynder.egress_group == "operator" {
        return Err(ConfigError::value(
            "bynder.egress_group",
            "is what a person's pause is called; choose another",
        ));
    }
    quiet_hours::check(&config.quiet_hours, config.bynder.requests_per_5_minutes)?;
    Ok(warnings(config))
}

fn durations(config: &Config) -> Result<(), ConfigError> {
    if config.worker.longest_wait.0.is_zero() {
        let reason = "must be greater than zero; leave it out for the default";
        return Err(ConfigError::value("worker.longest_wait", reason));
    }
    if config.producer.every.is_some_and(|every| every.0 < SHORTEST_INTERVAL) {
        return Err(ConfigError::value("producer.every", "must be at least 1s; leave it out for none"));
    }
    for (key, duration) in [
        ("queue.longest_hold", config.queue.longest_hold),
        ("producer.lost_after", config.producer.lost_after),
        ("producer.full_every", config.producer.full_every),
    ] {
        if duration.0 < SHORTEST_INTERVAL {
            return Err(ConfigError::value(key, "must be at least 1s; leave it out for the default"));
        }
    }
    let waits = [
        ("worker.request_timeout", config.worker.request_timeout),
        ("reader.deadline", config.reader.deadline),
    ];
    for (key, part) in waits {
        if config.worker.step_deadline.0 <= part.0 {
            let reason = format!("must be longer than {key}, {part}: a step contains it");
            return Err(ConfigError::value("worker.step_deadline", reason));
        }
    }
    if config.bynder.index_lag.0 > LONGEST_INDEX_LAG {
        return Err(ConfigError::value(
            "bynder.index_lag",
            "must be at most 1h: a job waits for it before it trusts a listing",
        ));
    }
    if config.producer.overlap.0 < config.bynder.index_lag.0 {
        return Err(ConfigError::value(
            "producer.overlap",
            "is shorter than bynder.index_lag: a change that the listing shows late would be missed; make it at least as long",
        ));
    }
    if config.queue.longest_hold.0 >= CONSUMER_TIMEOUT {
        return Err(ConfigError::value(
            "queue.longest_hold",
            "must be below 30m: the broker takes a delivery away that is held for longer",
        ));
    }
    Ok(())
}

/// The fields must differ: text in the wrong field would destroy what prevents an asset from being protected again.
fn written_fields(config: &Config) -> Result<(), ConfigError> {
    let fields = [
        ("bynder.hash_metaproperty", Some(&config.bynder.hash_metaproperty)),
        ("bynder.status_metaproperty", config.bynder.status_metaproperty.as_ref()),
        ("output.link_metaproperty", config.output.link_metaproperty.as_ref()),
    ];
    for (at, (key, name)) in fields.iter().enumerate() {
        let same = fields[..at].iter().find(|(_, earlier)| name.is_some() && earlier == name);
        if let Some((other, _)) = same {
            return Err(ConfigError::value(
                *key,
                format!("is the same as {other}; create another metaproperty"),
            ));
        }
    }
    Ok(())
}

impl Config {
    /// All secrets that are given, by their dotted keys.
    pub fn secrets(&self) -> impl Iterator<Item = (Cow<'static, str>, &SecretValue)> {
        let (bynder, imatag) = (self.bynder.oauth.as_ref(), self.imatag.oauth.as_ref());
        let broker = self.broker.as_ref();
        let secrets = [
            self.bynder.api_token.as_ref(),
            bynder.map(|oauth| &oauth.client_secret),
            self.imatag.api_key.as_ref(),
            imatag.map(|oauth| &oauth.client_secret),
            broker.map(|broker| &broker.url),
            broker.and_then(|broker| broker.message_key.as_ref()),
            self.traces.headers.as_ref(),
            self.notify.webhook.as_ref(),
            self.notify.mail.as_ref().and_then(|mail| mail.password.as_ref()),
        ];
        let single = SECRETS.into_iter().zip(secrets).filter_map(|(key, secret)| Some((key.into(), secret?)));
        let tokens = self.page.tokens.iter().enumerate();
        single.chain(tokens.map(|(index, entry)| (page::secret_key(index).into(), &entry.token)))
    }
}

fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for (key, _) in config.secrets().filter(|(_, secret)| secret.is_plain()) {
        warnings.push(format!(
            "{key} is in plain text; use {{ env = … }}, {{ file = … }} or {{ encrypted = … }}"
        ));
    }
    let authorities = named_files();
    let named = [
        ("imatag.profile", Some(&*config.imatag.profile).filter(|name| *name != BUILTIN_NAME).map(Path::new)),
        ("broker.ca_file", config.broker.as_ref().and_then(|broker| broker.ca_file.as_deref())),
    ];
    let named = named.into_iter().filter_map(|(key, path)| Some((key, path?)));
    let authorities = authorities.iter().map(|(variable, path)| (*variable, path.as_path()));
    let identity = identity_file();
    let identity = identity.as_deref().map(|path| (IDENTITY_FILE, path));
    let others = named.chain(authorities).chain(identity).map(|(key, path)| (Cow::from(key), path));
    let secrets = config.secrets().filter_map(|(key, secret)| Some((key, secret.file()?)));
    for (key, path) in others.chain(secrets) {
        // A file that is refused fails where it is read.
        if let Ok(Some(doubt)) = written::check(path, Chosen::Found) {
            warnings.push(format!("{key}: {}: {doubt}", path.display()));
        }
    }
    if config.bynder.requests_per_5_minutes.get() > PUBLISHED_LIMIT {
        warnings
            .push(format!("bynder.requests_per_5_minutes is above the {PUBLISHED_LIMIT} that Bynder allows"));
    }
    warnings
}

fn one_of(section: &str, token: &str, has_token: bool, has_oauth: bool) -> Result<(), ConfigError> {
    match (has_token, has_oauth) {
        (true, false) | (false, true) => Ok(()),
        (false, false) => {
            let reason = format!(
                "is missing; write {token} = {{ env = … }} under [{section}], or a section [{section}.oauth]"
            );
            Err(ConfigError::value(format!("{section}.{token}"), reason))
        }
        (true, true) => {
            let reason = format!("is set together with [{section}.oauth]; keep one of them");
            Err(ConfigError::value(format!("{section}.{token}"), reason))
        }
    }
}

fn directories(imatag: &ImatagSection) -> Result<(), ConfigError> {
    for (index, rule) in imatag.directories.iter().enumerate() {
        if rule.brands.is_empty() && rule.metaproperties.values().all(Vec::is_empty) {
            return Err(ConfigError::value(
                format!("imatag.directories[{index}]"),
                "matches no asset; give brands or metaproperties, or use imatag.directory",
            ));
        }
    }
    if imatag.all_directories().len() > MOST_DIRECTORIES {
        return Err(ConfigError::value(
            "imatag.directories",
            format!(
                "come to more than {MOST_DIRECTORIES} with the former ones; each is looked through before a submit"
            ),
        ));
    }
    Ok(())
}

/// Checks a prefix of names on the broker, which limits them to 255 bytes and reserves `amq.`.
fn broker_name(key: &str, name: &str) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) || name.starts_with("amq.") {
        let reason = "must be 1 to 64 letters, digits, hyphens, underscores and dots, and must not start with \"amq.\"";
        return Err(ConfigError::value(key, reason));
    }
    Ok(())
}

fn rungs(queue: &QueueSection, request_timeout: Duration) -> Result<(), ConfigError> {
    let wrong = |reason: String| Err(ConfigError::value("queue.rungs", reason));
    if queue.rungs.is_empty() || queue.rungs.len() > 10 {
        return wrong("must be one to ten durations".to_owned());
    }
    // The broker counts in milliseconds.
    if queue.rungs[0].0.as_millis() == 0 {
        return wrong("must all be greater than zero".to_owned());
    }
    if !queue.rungs.is_sorted_by(|left, right| left < right) {
        return wrong("must be ascending, such as [\"5s\", \"30s\", \"2m\"]".to_owned());
    }
    if queue.rungs.iter().all(|rung| rung.0 <= request_timeout) {
        return wrong(
            "one must be longer than worker.request_timeout: a job waits out a lost request there".to_owned(),
        );
    }
    Ok(())
}

impl BynderSection {
    /// The portal's origin.
    pub fn portal(&self) -> Result<Url, ConfigError> {
        let wrong = |reason: &str| ConfigError::value("bynder.domain", reason);
        let text = self.domain.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let url = Url::parse(&text)
            .map_err(|_| wrong("is not a host name; write for example \"acme.bynder.com\""))?;
        address::check_base("bynder.domain", &url, Some(self.allow_http))?;
        if url.path() != "/" {
            return Err(wrong("must be the portal's address alone, without a path"));
        }
        Ok(url)
    }

    /// The hosts that the portal may link to.
    pub fn storage_hosts(&self) -> LinkHosts {
        let usual = || LinkHosts::Usual(USUAL_STORAGE.map(str::to_owned).to_vec());
        self.storage_hosts.clone().map_or_else(usual, LinkHosts::Only)
    }

    /// Identifies this portal in the ledger and on the broker.
    pub fn origin(&self) -> Result<String, ConfigError> {
        Ok(self.portal()?.origin().ascii_serialization())
    }

    /// The credential with its secret resolved.
    pub fn credential(&self) -> Result<bynder::Credential, ConfigError> {
        match (&self.api_token, &self.oauth) {
            (Some(token), _) => Ok(bynder::Credential::Token(token.resolve("bynder.api_token")?)),
            (None, Some(oauth)) => Ok(bynder::Credential::ClientCredentials {
                client_id: oauth.client_id.clone(),
                client_secret: oauth.client_secret.resolve("bynder.oauth.client_secret")?,
            }),
            (None, None) => Err(ConfigError::value("bynder.api_token", "is missing")),
        }
    }
}

impl ImatagSection {
    /// Every directory in which a medium may be.
    pub fn all_directories(&self) -> BTreeSet<imatag::Directory> {
        let own = self.directories.iter().map(|rule| &rule.directory);
        own.chain(&self.former_directories).chain([&self.directory]).cloned().collect()
    }

    /// The credential with its secret resolved.
    pub fn credential(&self) -> Result<imatag::Credential, ConfigError> {
        match (&self.api_key, &self.oauth) {
            (Some(key), _) => Ok(imatag::Credential::ApiKey(key.resolve("imatag.api_key")?)),
            (None, Some(oauth)) => Ok(imatag::Credential::OAuth {
                client_id: oauth.client_id.clone(),
                client_secret: oauth.client_secret.resolve("imatag.oauth.client_secret")?,
                token_url: oauth.token_url.clone(),
            }),
            (None, None) => Err(ConfigError::value("imatag.api_key", "is missing")),
        }
    }

    /// The wire profile with its overrides.
    pub fn wire(&self) -> Result<imatag::Profile, ConfigError> {
        let profile = imatag::Profile::load(&self.profile, &self.profile_overrides)
            .map_err(|error| ConfigError::value("imatag.profile", error.to_string()))?;
        address::check_base("imatag.profile (base_url)", &profile.base_url, Some(self.allow_http))?;
        if let Some(url) = &profile.auth.token_url {
            address::check("imatag.profile (auth.token_url)", url, Some(self.allow_http))?;
        }
        Ok(profile)
    }
}
