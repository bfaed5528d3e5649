//! Checks the variables that name proxies. The HTTP library silently ignores a value that is not a proxy address.

use std::ffi::OsString;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use super::ConfigError;

const VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Fails for the first variable that names no proxy; does not show its value, which may contain a password.
pub(super) fn check(variable: impl Fn(&str) -> Option<OsString>) -> Result<(), ConfigError> {
    let is_wrong = |name: &&&str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.is_some_and(|value| !value.to_str().is_some_and(is_proxy))
    };
    VARIABLES.iter().find(is_wrong).map_or(Ok(()), |name| {
        let reason = "is not a proxy address; write for example http://user:password@proxy.example.com:3128, with special \
                      characters of the password as %40, or unset it";
        Err(ConfigError::value(*name, reason))
    })
}

/// Whether the clients accept the value, and as the proxy that it names: of a value that is not encoded, a part of
/// the password would count as the host, and be shown.
fn is_proxy(value: &str) -> bool {
    let url = Url::parse(&if value.contains("://") { value.to_owned() } else { format!("http://{value}") });
    let is_alone = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && value.matches('@').count() <= 1
    };
    let is_used = || {
        let matcher = Matcher::builder().all(value).build();
        "http://proxied.example/".parse().is_ok_and(|address| matcher.intercept(&address).is_some())
    };
    url.is_ok_and(|url| is_alone(&url)) && is_used()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, value: &str) -> String {
        let given = |asked: &str| (asked == name).then(|| value.into());
        check(given).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_named_without_its_value() {
        for right in [
            "",
            "http://proxy.example.com:3128",
            "https://user:s3cr3t%40%2F@proxy.example.com/",
            "proxy.example.com:3128",
            "user:word@10.0.0.1:3128",
            "http://[::1]:3128",
        ] {
            assert_eq!(said("HTTPS_PROXY", right), "", "{right}");
        }
        for wrong in [
            "http://user:s3cr3t@proxy example.com",
            "http://user:s3cr3t#@proxy.example.com",
            "http://user:12/s3cr3t@proxy.example.com",
            "http://user:s3cr3t@s3cr3t@proxy.example.com",
            "ftp://user:s3cr3t@proxy.example.com",
            "socks5h://user:s3cr3t@proxy.example.com",
            "http:/user:s3cr3t@proxy.example.com",
            "http://user:s3cr3t@",
            "http://",
        ] {
            for name in VARIABLES {
                let said = said(name, wrong);
                let wanted = format!("{name}: is not a proxy address");
                assert!(said.starts_with(&wanted) && !said.contains("s3cr3t"), "{wrong}: {said}");
            }
        }
    }
}
