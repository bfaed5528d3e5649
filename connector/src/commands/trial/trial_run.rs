//! The trial of one file: search, submit, wait, download, compare with the original, and search again.

use std::path::Path;
use std::time::Duration;

use cli::output;
use common::asset::AssetId;
use common::failure::Failure;
use common::file_name::{FileName, Known};
use common::hash::FileFacts;
use config::Config;
use files::spool::{Length, Spool, SpooledFile};
use futures::TryStreamExt;
use imatag::{
    Body, Imatag, ImatagError, MediumId, MediumState, ResultLocation, Submit, SubmitAnswer, Submitted,
};
use media::reader::Readers;
use media::{Checks, check_result};
use tokio::time::{Instant, timeout};
use tokio_util::io::ReaderStream;
use worker::inspect::Inspector;

use super::points::{Findings, Point, Verdict};
use crate::confirm::confirmed_once;

/// How often the medium's state is requested.
const MEDIUM_POLL: Duration = Duration::from_secs(2);

/// The trial of one file.
pub(super) struct TrialRun<'a> {
    pub(super) config: &'a Config,
    pub(super) checks: Checks,
    pub(super) readers: Readers,
    pub(super) imatag: &'a Imatag,
    pub(super) findings: &'a mut Findings,
    /// Submit without asking.
    pub(super) yes: bool,
}

pub(super) struct TrialResult {
    pub(super) medium: Option<MediumId>,
    pub(super) result: SpooledFile,
}

/// The answer to the submit, in one form for all profiles.
enum Answer {
    Wait(MediumId),
    Fetch(Option<MediumId>, ResultLocation),
    Here(Option<MediumId>, Body),
}

impl TrialRun<'_> {
    pub(super) async fn go(&mut self, path: &Path) -> Result<TrialResult, Failure> {
        let spool = wiring::spool(self.config)?;
        let file = read(&spool, path).await?;
        let facts = self.readers.facts(&file, &self.checks).await.map_err(unexpected)?;
        // The same file gives the same trial: what was paid for is found, and not paid for twice.
        let asset: AssetId = format!("trial-{}", facts.sha256.short()).parse().map_err(unexpected)?;
        let before = self.find(&asset, &facts).await?;
        let answer = match before {
            Some((medium, MediumState::Ready(location))) => Answer::Fetch(Some(medium), location),
            Some((medium, _)) => Answer::Wait(medium),
            None => self.submit(path, &file, &facts, &asset).await?,
        };
        let (medium, body) = match answer {
            Answer::Here(medium, body) => {
                self.not_seen(Point::Status, "the answer to the submit held the file");
                self.not_seen(Point::Download, "the answer to the submit held the file");
                (medium, body)
            }
            Answer::Fetch(medium, location) => {
                self.not_seen(Point::Status, "it was ready at once");
                (medium, self.fetch(location).await?)
            }
            Answer::Wait(medium) => {
                let location = self.wait(&medium).await?;
                (Some(medium), self.fetch(location).await?)
            }
        };
        let deadline = self.config.worker.step_deadline;
        let receiving = spool.receive(body.stream, Length::announced(body.bytes), None);
        let received = timeout(deadline.0, receiving).await.map_err(|_| {
            Failure::Temporary(format!(
                "the result did not arrive within {deadline} (worker.step_deadline); run the trial again, nothing is paid for \
                 twice"
            ))
        })?;
        let result =
            received.map_err(|error| Failure::Temporary(format!("the result did not arrive: {error}")))?;
        self.judge(&facts, &result).await?;
        self.find_again(&asset, &facts).await;
        Ok(TrialResult { medium, result })
    }

    async fn find(
        &mut self,
        asset: &AssetId,
        facts: &FileFacts,
    ) -> Result<Option<(MediumId, MediumState)>, Failure> {
        if !self.imatag.can_find() {
            self.not_seen(Point::Find, "the profile has no [find]");
            return Ok(None);
        }
        let directory = &self.config.imatag.directory;
        let found = self
            .imatag
            .find(asset, facts.sha256, directory)
            .await
            .map_err(|error| self.refuted(Point::Find, &error))?;
        self.confirmed(Point::Auth);
        self.confirmed(Point::Find);
        if let Some((medium, _)) = &found {
            output::talk(&format!(
                "this file was tried before: medium {medium} is looked at, nothing is submitted"
            ));
            // The search uses what the submit sent.
            self.confirmed(Point::Submit);
        }
        Ok(found)
    }

    async fn submit(
        &mut self,
        path: &Path,
        file: &SpooledFile,
        facts: &FileFacts,
        asset: &AssetId,
    ) -> Result<Answer, Failure> {
        if !self.yes && !confirmed_once("Submit the file? One watermark is paid for.")? {
            return Err(Failure::Usage("nothing was submitted".to_owned()));
        }
        let own = path.file_name().map(|name| name.to_string_lossy());
        let media_type = facts.media_type.as_deref();
        let known = Known { own: own.as_deref(), media_type, ..Known::default() };
        let name = FileName::of(known).ok_or_else(|| {
            Failure::Usage(format!(
                "{}: its type is not recognised; name it with an extension",
                path.display()
            ))
        })?;
        let submit = Submit {
            file_name: &name,
            media_type: media_type.unwrap_or("application/octet-stream"),
            asset,
            original: facts.sha256,
            directory: &self.config.imatag.directory,
        };
        let slot = self.imatag.upload_slot().await;
        let answer = self.imatag.submit(file, submit, slot).await;
        let SubmitAnswer { submitted, .. } = answer.map_err(|error| self.refuted(Point::Submit, &error))?;
        let answer = match submitted {
            Submitted::Pending(medium) => Answer::Wait(medium),
            Submitted::Ready { medium, result } => Answer::Fetch(medium, result),
            Submitted::Bytes { medium, body } => Answer::Here(medium, body),
            Submitted::AlreadyProtected { .. } => {
                return Err(Failure::Usage(
                    "Imatag says that this file carries one of its watermarks; try an unprotected one"
                        .to_owned(),
                ));
            }
            Submitted::Unlisted { reason } => return Err(Failure::Usage(reason)),
            Submitted::Refused { reason, .. } => {
                self.findings.note(Point::Submit, Verdict::Refuted(reason.clone()));
                return Err(Failure::Usage(format!("Imatag refuses this file: {reason}")));
            }
        };
        if !self.imatag.can_find() {
            self.confirmed(Point::Auth);
        }
        self.confirmed(Point::Submit);
        Ok(answer)
    }

    async fn wait(&mut self, medium: &MediumId) -> Result<ResultLocation, Failure> {
        let started = Instant::now();
        let deadline = self.config.worker.longest_wait.0;
        loop {
            let state =
                self.imatag.status(medium).await.map_err(|error| self.refuted(Point::Status, &error))?;
            match state {
                MediumState::Ready(location) => {
                    self.confirmed(Point::Status);
                    return Ok(location);
                }
                MediumState::Pending => {}
                MediumState::AlreadyProtected => {
                    return Err(Failure::Usage(
                        "Imatag says that this file carries one of its watermarks; try an unprotected one"
                            .to_owned(),
                    ));
                }
                MediumState::Failed { reason } => {
                    return Err(Failure::Usage(format!("Imatag could not watermark this file: {reason}")));
                }
            }
            if started.elapsed() > deadline {
                return Err(Failure::Temporary(format!(
                    "medium {medium} is not ready after {}; run the trial again, nothing is paid for twice",
                    self.config.worker.longest_wait
                )));
            }
            tokio::time::sleep(MEDIUM_POLL).await;
        }
    }

    async fn fetch(&mut self, location: ResultLocation) -> Result<Body, Failure> {
        let body =
            self.imatag.download(location).await.map_err(|error| self.refuted(Point::Download, &error))?;
        self.confirmed(Point::Download);
        Ok(body)
    }

    async fn judge(&mut self, original: &FileFacts, result: &SpooledFile) -> Result<(), Failure> {
        let checks = self.checks.of_result(original);
        let facts = self.readers.facts(result, &checks).await.map_err(unexpected)?;
        match check_result(original, &facts, &self.checks) {
            Ok(unchecked) => {
                for unchecked in unchecked {
                    output::talk(&format!("not checked: {unchecked}"));
                }
                self.confirmed(Point::Result);
            }
            Err(problem) => self.findings.note(Point::Result, Verdict::Refuted(problem.to_string())),
        }
        Ok(())
    }

    /// Checks what makes a crash harmless: the medium is found by what the submit sent, and by nothing else. At least
    /// one medium exists now, and a search for an asset that does not exist must not return it.
    async fn find_again(&mut self, asset: &AssetId, facts: &FileFacts) {
        let directory = &self.config.imatag.directory;
        let verdict = if self.imatag.can_find() {
            match self.imatag.find(asset, facts.sha256, directory).await {
                Ok(Some(_)) => match self.imatag.find(&AssetId::impossible(), facts.sha256, directory).await {
                    Ok(_) => Verdict::Confirmed,
                    Err(error) => Verdict::Refuted(error.to_string()),
                },
                Ok(None) => Verdict::Refuted(
                    "the search does not find the medium by its metadata: after a crash a file would be watermarked twice"
                        .to_owned(),
                ),
                Err(error) => Verdict::Refuted(error.to_string()),
            }
        } else {
            Verdict::NotSeen("the profile has no [find]".to_owned())
        };
        self.findings.note(Point::Metadata, verdict);
    }

    fn confirmed(&mut self, point: Point) {
        self.findings.note(point, Verdict::Confirmed);
    }

    fn not_seen(&mut self, point: Point, why: &str) {
        self.findings.note(point, Verdict::NotSeen(why.to_owned()));
    }

    fn refuted(&mut self, point: Point, error: &ImatagError) -> Failure {
        let message = error.to_string();
        let point = if matches!(error, ImatagError::Unauthorized { .. }) { Point::Auth } else { point };
        match error {
            ImatagError::Busy { .. }
            | ImatagError::Paused { .. }
            | ImatagError::Withheld { .. }
            | ImatagError::Unavailable { .. } => Failure::Temporary(message),
            ImatagError::Unauthorized { .. } | ImatagError::Forbidden { .. } => {
                self.findings.note(point, Verdict::Refuted(message.clone()));
                Failure::Credential(message)
            }
            ImatagError::Misconfigured { .. }
            | ImatagError::Refused { .. }
            | ImatagError::UnknownMedium { .. }
            | ImatagError::Unexpected { .. } => {
                self.findings.note(point, Verdict::Refuted(message.clone()));
                Failure::Configuration(format!(
                    "{message}; see docs/imatag.md for what the profile can change"
                ))
            }
        }
    }
}

fn unexpected(error: impl std::fmt::Display) -> Failure {
    Failure::Unexpected(error.to_string())
}

async fn read(spool: &Spool, path: &Path) -> Result<SpooledFile, Failure> {
    let cannot = |error: std::io::Error| {
        Failure::Usage(format!(
            "cannot read {}: {error}; give the path of a picture, film or PDF",
            path.display()
        ))
    };
    let file = tokio::fs::File::open(path).await.map_err(cannot)?;
    let bytes = file.metadata().await.map_err(cannot)?.len();
    let stream = ReaderStream::new(file).map_err(cannot);
    let received = spool.receive(stream, Length::Announced(bytes), None).await;
    received.map_err(|error| Failure::Usage(format!("cannot read {}: {error}", path.display())))
}
