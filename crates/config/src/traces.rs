//! Where traces go: `[traces]`, and the variables of OpenTelemetry, which go before it.

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Config, ConfigError, SecretValue, address};

/// What follows the base of an endpoint.
const PATH: &str = "v1/traces";
/// The only protocol that is spoken.
const PROTOCOL: &str = "http/protobuf";

/// `[traces]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TracesSection {
    /// The base address of a collector for OTLP over HTTP, such as `http://127.0.0.1:4318`; without it, no traces are sent.
    #[serde(deserialize_with = "common::address::read_some")]
    pub endpoint: Option<Url>,
    /// Whether plain http to another machine is allowed: for a collector on a network of its own.
    pub allow_http: bool,
    /// Headers for the collector, such as `Authorization=Bearer …`; several are separated by commas.
    pub headers: Option<SecretValue>,
    /// Whether traces hold the names of assets.
    pub names: bool,
    /// The part of all jobs whose traces are sent, from 0 to 1.
    pub sample: f64,
}

impl Default for TracesSection {
    fn default() -> Self {
        Self { endpoint: None, allow_http: false, headers: None, names: false, sample: 1.0 }
    }
}

/// Where traces go, and which.
#[derive(Debug, Clone)]
pub struct TraceExport {
    /// The address that takes them.
    pub endpoint: Url,
    /// Whether it may be plain http to another machine.
    pub allow_http: bool,
    /// Headers of each request.
    pub headers: Vec<(String, SecretString)>,
    /// Whether they hold the names of assets.
    pub names: bool,
    /// The part of all jobs, from 0 to 1.
    pub sample: f64,
}

impl Config {
    /// Where traces go by `[traces]` and these variables; `None` if nowhere.
    ///
    /// # Errors
    /// The key or the variable that cannot be used.
    pub fn trace_export(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<TraceExport>, ConfigError> {
        let given = |name: &'static str| Some((name, variable(name).filter(|value| !value.is_empty())?));
        let is = |name, value: &str| given(name).is_some_and(|(_, given)| given.eq_ignore_ascii_case(value));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let traces = &self.traces;
        let whole = given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let base = given("OTEL_EXPORTER_OTLP_ENDPOINT");
        let endpoint = match (whole, base, &traces.endpoint) {
            (Some((name, text)), ..) => checked(name, &text, traces.allow_http)?,
            (None, Some((name, text)), _) => {
                let url = checked(name, &text, traces.allow_http)?;
                address::check_base(name, &url, Some(traces.allow_http))?;
                below(&url)
            }
            (None, None, Some(url)) => below(url),
            (None, None, None) => return Ok(None),
        };
        let protocol = given("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or(given("OTEL_EXPORTER_OTLP_PROTOCOL"));
        if let Some((name, _)) = protocol.filter(|(_, protocol)| protocol != PROTOCOL) {
            let reason = format!("only {PROTOCOL} is spoken, which collectors take at port 4318; write that");
            return Err(ConfigError::value(name, reason));
        }
        let headers = traces.headers.as_ref().map(|headers| pairs(headers, "traces.headers")).transpose()?;
        let (allow_http, names) = (traces.allow_http, traces.names);
        let sample = match given("OTEL_TRACES_SAMPLER") {
            Some((name, sampler)) => part(name, &sampler, given("OTEL_TRACES_SAMPLER_ARG"))?,
            None => traces.sample,
        };
        Ok(Some(TraceExport { endpoint, allow_http, headers: headers.unwrap_or_default(), names, sample }))
    }
}

fn checked(name: &str, text: &str, allow_http: bool) -> Result<Url, ConfigError> {
    let wrong = |_| ConfigError::value(name, "is not an address; write for example http://127.0.0.1:4318");
    let url = Url::parse(text).map_err(wrong)?;
    address::check(name, &url, Some(allow_http))?;
    Ok(url)
}

/// The address that takes traces at this base.
fn below(base: &Url) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{PATH}", base.path().trim_end_matches('/')));
    url
}

fn pairs(headers: &SecretValue, key: &str) -> Result<Vec<(String, SecretString)>, ConfigError> {
    let text = headers.resolve(key)?;
    let pairs = text.expose_secret().split(',').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let value = SecretString::from(value.trim().to_owned());
        (!name.trim().is_empty()).then(|| (name.trim().to_owned(), value))
    });
    let pairs: Option<Vec<_>> = pairs.collect();
    pairs.ok_or_else(|| ConfigError::Secret {
        key: key.to_owned(),
        reason: "write NAME=VALUE, separated by commas, such as Authorization=Basic …".to_owned(),
    })
}

/// The part of all traces that a sampler of OpenTelemetry keeps.
fn part(name: &str, sampler: &str, argument: Option<(&'static str, String)>) -> Result<f64, ConfigError> {
    match sampler.trim_start_matches("parentbased_") {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => match argument {
            None => Ok(1.0),
            Some((name, text)) => {
                let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
                part.ok_or_else(|| ConfigError::value(name, "must be from 0 to 1"))
            }
        },
        _ => Err(ConfigError::value(name, "must be always_on, always_off or traceidratio")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(traces: &str, variables: &[(&str, &str)]) -> Result<Option<TraceExport>, String> {
        let text = format!(
            "bynder = {{ domain = 'acme.bynder.com', hash_metaproperty = 'h', api_token = 't' }}
             imatag = {{ directory = 'acme', api_key = 'k' }}
             [traces]
             {traces}"
        );
        let variable = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        Config::parse(&text)
            .and_then(|config| config.trace_export(variable))
            .map_err(|error| error.to_string())
    }

    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

    #[test]
    fn traces_go_where_the_configuration_or_a_variable_says_and_nowhere_by_default() {
        let configured = "endpoint = 'http://127.0.0.1:4318'";
        let whole = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let table = [
            ("", &[][..], None),
            (configured, &[], Some("http://127.0.0.1:4318/v1/traces")),
            (configured, &[(BASE, "")], Some("http://127.0.0.1:4318/v1/traces")),
            (configured, &[(BASE, "https://a.example/otlp/")], Some("https://a.example/otlp/v1/traces")),
            (
                "",
                &[(BASE, "https://a.example"), (whole, "https://b.example/t?k=1")],
                Some("https://b.example/t?k=1"),
            ),
            (configured, &[("OTEL_SDK_DISABLED", "TRUE")], None),
            (configured, &[("OTEL_TRACES_EXPORTER", "none")], None),
            (
                "allow_http = true",
                &[(BASE, "http://collector:4318")],
                Some("http://collector:4318/v1/traces"),
            ),
        ];
        for (traces, variables, expected) in table {
            let endpoint = export(traces, variables).unwrap().map(|export| export.endpoint.to_string());
            assert_eq!(endpoint.as_deref(), expected, "{traces} {variables:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_named_and_not_shown() {
        let on = "endpoint = 'http://127.0.0.1:4318'";
        let headers = format!("{on}\nheaders = 'Authorization s3cr3t'");
        for (traces, variables, wanted) in [
            ("", &[(BASE, "s3cr3t")][..], "OTEL_EXPORTER_OTLP_ENDPOINT: is not an address"),
            ("", &[(BASE, "http://s3cr3t.example")], "OTEL_EXPORTER_OTLP_ENDPOINT: must use https"),
            ("", &[(BASE, "https://a.example/?s3cr3t")], "OTEL_EXPORTER_OTLP_ENDPOINT: must hold no query"),
            ("", &[(BASE, "https://u:s3cr3t@a.example")], "must hold no user and no password"),
            (
                on,
                &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
                "OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf",
            ),
            (on, &[("OTEL_TRACES_SAMPLER", "s3cr3t")], "OTEL_TRACES_SAMPLER: must be always_on"),
            ("sample = 1.5", &[], "traces.sample: must be from 0 to 1"),
            ("endpoint = 'http://collector:4318'", &[], "traces.endpoint: must use https"),
            (&headers, &[], "traces.headers: write NAME=VALUE"),
        ] {
            let said = export(traces, variables).unwrap_err();
            assert!(said.contains(wanted) && !said.contains("s3cr3t"), "{traces} {variables:?}: {said}");
        }
    }

    #[test]
    fn headers_and_the_sampled_part_are_read() {
        let on = "endpoint = 'http://127.0.0.1:4318'\nheaders = 'Authorization=Basic a=b, X-Scope=acme'\nsample = 0.5";
        let found = export(on, &[]).unwrap().unwrap();
        let headers: Vec<_> =
            found.headers.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(headers, [("Authorization", "Basic a=b"), ("X-Scope", "acme")]);
        assert!((found.sample - 0.5).abs() < f64::EPSILON);
        for (sampler, argument, expected) in
            [("parentbased_always_off", "1", 0.0), ("traceidratio", "0.25", 0.25), ("always_on", "0", 1.0)]
        {
            let variables = [("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            let sample = export(on, &variables).unwrap().unwrap().sample;
            assert!((sample - expected).abs() < f64::EPSILON, "{sampler}: {sample}");
        }
    }
}
