//! The sandbox as its own process, so that its CPU time is measured separately.

use std::time::Duration;

use clap::Args;
use cli::output;
use jiff::{SignedDuration, Timestamp};
use sample_files::{Format, file};
use sandbox::faults::{Action, Faults, Moment, Rule, of_all_kinds};
use sandbox::{NewAsset, NewFile, NewVersion, Options, RateLimit};

use tokio::time::Instant;

use crate::hostile;
use crate::lab::{HOSTILE_EVERY, is_hostile};

/// The library, and the delays of the services.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pictures: u32,
    #[arg(long)]
    bytes: u64,
    #[arg(long)]
    width: u32,
    #[arg(long)]
    archive: u64,
    #[arg(long)]
    watermark_ms: u64,
    #[arg(long)]
    import_ms: u64,
    #[arg(long)]
    call_ms: u64,
    #[arg(long)]
    line_rate: Option<u64>,
    #[arg(long)]
    hide_lengths: bool,
    #[arg(long)]
    index_lag_ms: u64,
    #[arg(long)]
    faults: f64,
    #[arg(long)]
    limited: bool,
    #[arg(long)]
    hostile: bool,
    #[arg(long)]
    hostile_uploads_ms: u64,
}

/// Pictures from this length on, in bytes, are generated without holding them in memory.
const LARGE: u64 = 8 << 20;

/// How long the pictures have been in the library.
const AGE: SignedDuration = SignedDuration::from_hours(24 * 30);

/// How often a person uploads a hostile file.
const BETWEEN_HOSTILE: Duration = Duration::from_secs(5);

/// From this length on, in bytes, a TIFF cannot store the offsets of strips; it then has a single strip, which nothing decodes.
const ONE_STRIP: u64 = 4 << 30;

pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let limit = RateLimit { requests: 4500, window: Duration::from_mins(5) };
    let slow = Rule {
        endpoint: "*".to_owned(),
        probability: 1.0,
        skip: 0,
        times: None,
        moment: Moment::Before,
        action: Action::Delay(Duration::from_millis(arguments.call_ms)),
    };
    let faults = match (arguments.call_ms, arguments.faults) {
        (0, probability) if probability > 0.0 => of_all_kinds(1, probability),
        (0, _) => Faults::default(),
        _ => Faults { seed: 1, rules: vec![slow] },
    };
    let options = Options {
        rate_limit: arguments.limited.then_some(limit),
        index_lag: Duration::from_millis(arguments.index_lag_ms),
        modify_lag: Duration::from_millis(20),
        watermark_time: Duration::from_millis(arguments.watermark_ms),
        conversion_time: Duration::from_millis(arguments.import_ms),
        archive: arguments.archive,
        line_rate: arguments.line_rate,
        announces_no_length: arguments.hide_lengths,
        ..Options::default()
    };
    let sandbox = sandbox::start(options).await?;
    let mut hostile_ids = Vec::new();
    for number in 0..arguments.pictures {
        let harms = arguments.hostile && is_hostile(number);
        let (extension, file) = match arguments.bytes {
            _ if harms => {
                let (extension, content) = hostile::file(number / HOSTILE_EVERY);
                (extension, NewFile::Bytes(content))
            }
            bytes @ ..LARGE => ("jpg", NewFile::Bytes(picture(number, arguments.width, bytes))),
            bytes @ LARGE..ONE_STRIP => ("tif", NewFile::Striped(bytes)),
            bytes => ("tif", NewFile::Large(bytes)),
        };
        let new = NewAsset::new(&format!("{number}.{extension}"), Vec::new());
        // What was added lately would be new pictures to a delta run.
        let created = Timestamp::now() - AGE;
        let id = sandbox.add_asset(NewAsset { file: Some(file), created, ..new })?;
        if harms {
            hostile_ids.push(id);
        }
    }
    sandbox.set_faults(faults);
    let mut announcement = serde_json::to_value(sandbox.announcement())?;
    if arguments.bytes < LARGE {
        announcement["first_length"] = picture(0, arguments.width, arguments.bytes).len().into();
    }
    output::try_json(&announcement)?;
    let until = Instant::now() + Duration::from_millis(arguments.hostile_uploads_ms);
    for (number, id) in (arguments.pictures..).zip(hostile_ids.iter().cycle()) {
        tokio::time::sleep(BETWEEN_HOSTILE).await;
        if Instant::now() >= until {
            break;
        }
        let (_, file) = hostile::file(number);
        sandbox
            .new_version(id, &NewVersion { bytes: Some(file), ..NewVersion::default() })?
            .map_err(|_| anyhow::anyhow!("no such asset"))?;
    }
    std::future::pending().await
}

/// A genuine JPEG, padded after its end to this length, so that decoding costs what its size in pixels suggests.
fn picture(number: u32, width: u32, bytes: u64) -> Vec<u8> {
    let mut picture = file(Format::Jpeg, number.into(), width, width * 3 / 4);
    picture.resize(picture.len().max(usize::try_from(bytes).unwrap_or_default()), 0);
    picture
}
