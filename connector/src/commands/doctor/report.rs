//! The doctor's findings, one line each.

use std::borrow::Cow;

use bynder::BynderError;
use cli::output;
use common::failure::Failure;
use serde_json::{Value, json};

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Pass(String),
    Warn(String),
    /// The problem and its remedy, and the exit code.
    Fail(String, u8),
}

impl Finding {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Pass(text) => ("pass", text),
            Self::Warn(text) => ("warn", text),
            Self::Fail(text, _) => ("fail", text),
        }
    }
}

/// The findings, printed as they come.
pub(super) struct Report {
    is_json: bool,
    findings: Vec<(Cow<'static, str>, Finding)>,
}

impl Report {
    pub(super) fn new(is_json: bool) -> Self {
        Self { is_json, findings: Vec::new() }
    }

    pub(super) fn add(&mut self, check: impl Into<Cow<'static, str>>, finding: Finding) {
        let check = check.into();
        if !self.is_json {
            let (word, text) = finding.parts();
            output::data(&format!("{}  {check}: {text}", word.to_uppercase()));
        }
        self.findings.push((check, finding));
    }

    pub(super) fn is_well(&self) -> bool {
        self.code().is_none()
    }

    /// The lowest code: configuration first, then permissions, then what may pass by itself, which is the order to fix
    /// them in.
    fn code(&self) -> Option<u8> {
        let codes = self.findings.iter().filter_map(|(_, finding)| match finding {
            Finding::Fail(_, code) => Some(*code),
            Finding::Pass(_) | Finding::Warn(_) => None,
        });
        codes.min()
    }

    pub(super) fn as_json(&self) -> Value {
        let checks = self.findings.iter().map(|(check, finding)| {
            let (result, text) = finding.parts();
            json!({"check": check, "result": result, "text": text})
        });
        json!({"checks": checks.collect::<Vec<_>>()})
    }

    pub(super) fn end(self) -> Result<(), Failure> {
        let count =
            |wanted: &str| self.findings.iter().filter(|(_, found)| found.parts().0 == wanted).count();
        if self.is_json {
            output::json(&self.as_json());
        } else {
            output::talk(&format!(
                "{} passed, {} to look at, {} failed",
                count("pass"),
                count("warn"),
                count("fail")
            ));
        }
        self.code().map_or(Ok(()), |code| Err(Failure::Reported(code)))
    }
}

/// A portal error as a finding, with its exit code.
pub(super) fn failed(error: &BynderError) -> Finding {
    let code = match error {
        BynderError::Unauthorized { .. } | BynderError::Forbidden { .. } => 4,
        BynderError::Misconfigured { .. } | BynderError::NotFound { .. } => 3,
        BynderError::Paused { .. }
        | BynderError::BatchFailed { .. }
        | BynderError::Withheld { .. }
        | BynderError::Unavailable { .. } => 5,
        BynderError::Refused { .. } | BynderError::Unexpected { .. } | BynderError::Local { .. } => 1,
    };
    let remedy = if matches!(error, BynderError::Unavailable { .. }) {
        "; if it stays so, check bynder.domain, and this machine's network and name servers"
    } else {
        ""
    };
    Finding::Fail(format!("{error}{remedy}"), code)
}
