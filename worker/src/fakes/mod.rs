//! Fakes of the services and the queue, for the worker's tests.

pub(crate) mod portal;
pub(crate) mod queue;
pub(crate) mod watermarker;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, BufReader};
use std::num::NonZeroU32;
use std::sync::{Arc, Once};

use async_trait::async_trait;
use budget::Budget;
use common::hash::{ContentHash, FileFacts};
use common::job::{Job, Lane, RunId, Step};
use common::marker::Record;
use files::spool::{Spool, SpooledFile};
use jiff::Timestamp;
use media::{Checks, Content};
use telemetry::Metrics;
use tempfile::TempDir;

use crate::approval::Approval;
use crate::concurrency::Concurrency;
use crate::context::StepContext;
use crate::end::StepEnd;
use crate::environment::Environment;
use crate::error::StepError;
use crate::inspect::Inspector;
use crate::probe::Probes;
use crate::service_times::ServiceTimes;
use crate::settings::{Settings, samples};
use crate::step;
use breakers::Breakers;
use portal::FakePortal;
use queue::{FakeLocks, FakeQueue};
use watermarker::FakeWatermarker;

/// The hash metaproperty's name and id, as in the sample settings.
const HASH_FIELD: &str = "m";
const HASH_ID: &str = "i";

pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;
pub(crate) const ORIGINAL: &[u8] = b"original";
pub(crate) const WATERMARKED: &[u8] = b"watermarked";

/// Reads files in this process.
struct InProcess;

#[async_trait]
impl Inspector for InProcess {
    async fn facts(&self, file: &SpooledFile, checks: &Checks) -> Result<FileFacts, StepError> {
        // A reader process takes its time as well, and other work of the step continues meanwhile.
        tokio::task::yield_now().await;
        let reading = media::read(BufReader::new(file.reader()), checks);
        Ok(reading.into_facts(file.sha256(), file.bytes()))
    }
}

/// The environment of a worker with one asset `A`, whose only version is [`ORIGINAL`].
pub(crate) struct Scene {
    pub(crate) portal: FakePortal,
    pub(crate) imatag: FakeWatermarker,
    pub(crate) queue: Arc<FakeQueue>,
    pub(crate) locks: Arc<FakeLocks>,
    pub(crate) environment: Environment,
    _folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::with_permits(Some(1), change)
    }

    pub(crate) fn with_permits(permits: Option<usize>, change: impl FnOnce(&mut Settings)) -> Self {
        let metrics = Metrics::new();
        let folder = tempfile::tempdir().unwrap();
        let (portal, imatag) = (FakePortal::default(), FakeWatermarker::default());
        let (queue, locks) = (Arc::new(FakeQueue::default()), Arc::new(FakeLocks::default()));
        let no_checks = Checks { enabled: BTreeSet::new(), ..Checks::default() };
        let own = format!(r#"[{{"id":"{HASH_ID}","name":"{HASH_FIELD}","type":"text"}}]"#);
        let definitions = serde_json::from_str(&own).unwrap();
        let mut settings = Settings { checks: no_checks, definitions, ..samples::default_settings() };
        change(&mut settings);
        portal.has("A", &[ORIGINAL]);
        portal.lock().says_active = true;
        let environment = Environment {
            bynder: Arc::new(portal.clone()),
            imatag: Arc::new(imatag.clone()),
            queue: Arc::<FakeQueue>::clone(&queue),
            locks: Arc::<FakeLocks>::clone(&locks),
            spool: Spool::open(folder.path(), 1 << 20).unwrap(),
            readers: Arc::new(InProcess),
            budget: Budget::alone(NonZeroU32::new(4000).unwrap(), None),
            breakers: Breakers::for_wire(true),
            concurrency: Concurrency::new(permits, &metrics),
            probes: Probes::default(),
            approval: Approval::default(),
            service_times: ServiceTimes::new(&settings.rungs),
            metrics,
            settings: Arc::new(settings),
        };
        Self { portal, imatag, queue, locks, environment, _folder: folder }
    }

    /// Runs the job's next step.
    pub(crate) async fn run(&self, job: &mut Job) -> Result<StepEnd, StepError> {
        step::run(&StepContext::of(&self.environment), job).await
    }

    /// Runs the job's next step, which must not fail.
    pub(crate) async fn end(&self, job: &mut Job) -> StepEnd {
        self.run(job).await.unwrap()
    }
}

/// A job for the asset `A` at its first step.
pub(crate) fn job() -> Job {
    let mut job = Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "lake", Lane::Fresh, 1, None, NOW);
    job.bytes = Some(ORIGINAL.len() as u64);
    job.file_name = Some("lake.jpg".to_owned());
    job
}

pub(crate) fn facts(file: &[u8]) -> FileFacts {
    let (sha256, content) = (ContentHash::of(file).unwrap(), Some(Box::new(Content::Unread)));
    FileFacts { sha256, bytes: file.len() as u64, media_type: None, pixels: None, content }
}

/// The record of the watermarked file as this version.
pub(crate) fn record(version: u32) -> Record {
    let (original, watermarked) = (facts(ORIGINAL), facts(WATERMARKED));
    Record { original: original.sha256, watermarked: watermarked.sha256, version, bytes: watermarked.bytes }
}

/// A job whose file was submitted.
pub(crate) fn submitted() -> Job {
    let mut job = Job { step: Step::Transfer, ..job() };
    job.effects.original = Some(facts(ORIGINAL));
    job.effects.media_id = Some(watermarker::medium());
    job
}

/// A job whose watermarked file was uploaded, in a portal that has it.
pub(crate) fn uploaded(scene: &Scene) -> Job {
    let mut job = Job { step: Step::Save, ..submitted() };
    job.effects.watermarked = Some(facts(WATERMARKED));
    job.effects.import_id = Some("I".to_owned().try_into().unwrap());
    scene.portal.lock().uploaded = WATERMARKED.to_vec();
    job
}

thread_local! {
    /// What this test logged: each test has a thread, and runs its tasks on it.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Captures the log lines of the test that runs on this thread.
struct Log;

impl io::Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(line))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs this work; returns its result and what it logged. One subscriber collects the lines of all tests: that of one test alone can
/// miss a line that another test logs for the first time just then.
pub(crate) async fn logged<T>(work: impl Future<Output = T>) -> (T, String) {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    LOG.take();
    let done = work.await;
    (done, String::from_utf8(LOG.take()).unwrap())
}
