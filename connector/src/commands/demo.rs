//! `connector demo`: runs everything against a sandbox, and checks each asset.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use cli::options::GlobalOptions;
use cli::output;
use cli::signals::stop_on_signals;
use common::failure::Failure;
use common::outcome::Outcome;
use config::Config;
use ledger::Ledger;
use ledger::state::State;
use producer::Summary;
use producer::arguments::RunArguments;
use sandbox::{Announcement, AuditedAsset, Maker, Options, Sandbox};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::arguments::Demo;
use crate::commands::sync::sync;

/// The sandbox's index lag, since the second run must see what the first one did.
const INDEX_LAG: Duration = Duration::from_secs(2);

pub(crate) async fn run(global: &GlobalOptions, demo: &Demo) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let talk = |line: &str| {
        if !global.quiet {
            output::talk(line);
        }
    };
    let options =
        Options { assets: demo.assets, seed: demo.seed, index_lag: INDEX_LAG, ..Options::default() };
    let sandbox = sandbox::start(options).await.map_err(|error| {
        Failure::Configuration(format!(
            "the sandbox cannot start ({error}); name a writable folder in TMPDIR"
        ))
    })?;
    let announcement = sandbox.announcement();
    talk(&format!(
        "A sandbox takes the place of Bynder and Imatag; watch its library at {}/",
        announcement.bynder
    ));
    let private = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().permissions(private).tempdir().map_err(|error| {
        Failure::Configuration(format!(
            "the demo cannot make its folder ({error}); name a writable one in TMPDIR"
        ))
    })?;
    let config = configuration(folder.path(), &announcement)?;
    talk(&format!("Protecting its {} assets …", demo.assets));
    let first = whole_library(&config, global, &stop).await?;
    let checked = check(&config, &sandbox).await?;
    talk(&format!(
        "{} of {} watermarked assets verified. Running again …",
        checked.verified, first.watermarked
    ));
    tokio::time::sleep(INDEX_LAG + Duration::from_secs(1)).await;
    let downloads =
        |sandbox: &Sandbox| sandbox.stats().requests.get("bynder.download").copied().unwrap_or_default();
    let before = downloads(&sandbox);
    let second = whole_library(&config, global, &stop).await?;
    let again = downloads(&sandbox) - before;
    let violations = sandbox.audit().violations;
    report(global, demo, &first, &second, &checked, again);
    if demo.keep {
        talk(&format!("The library can be looked at under {}/ until you press Ctrl-C.", announcement.bynder));
        stop.cancelled().await;
    }
    let right = checked.surprises.is_empty()
        && violations.is_empty()
        && checked.verified == first.watermarked
        && second.watermarked == 0
        && again == 0;
    if right {
        return Ok(());
    }
    for line in checked.surprises.iter().cloned().chain(violations.iter().map(|found| format!("{found:?}"))) {
        output::talk(&line);
    }
    Err(Failure::Unexpected("the demo did not end as it should".to_owned()))
}

async fn whole_library(
    config: &Config,
    global: &GlobalOptions,
    stop: &CancellationToken,
) -> Result<Summary, Failure> {
    let run = RunArguments { full: true, ..RunArguments::default() };
    Ok(sync(config, &run, global.quiet, stop).await?.summary)
}

/// The configuration that a person would write, with delays that suit a sandbox.
fn configuration(folder: &Path, announcement: &Announcement) -> Result<Config, Failure> {
    let text = format!(
        r#"
        [bynder]
        domain = "{bynder}"
        api_token = "{token}"
        hash_metaproperty = "{hash_metaproperty}"
        [imatag]
        api_key = "{api_key}"
        directory = "{directory}"
        base_url = "{imatag}"
        [worker]
        spool_dir = '{spool}'
        request_timeout = "10s"
        [queue]
        rungs = ["500ms", "2s", "5s", "15s"]
        [producer]
        state_dir = '{state}'
        "#,
        bynder = announcement.bynder,
        token = announcement.token,
        hash_metaproperty = announcement.hash_metaproperty,
        api_key = announcement.api_key,
        directory = announcement.directory,
        imatag = announcement.imatag,
        spool = folder.join("spool").display(),
        state = folder.join("state").display(),
    );
    // Parsed without the environment: variables meant for a real library must not point the demo at it.
    Ok(Config::parse(&text)?)
}

struct Checked {
    /// Assets whose active version is a file watermarked by the connector.
    verified: u64,
    /// Assets that did not end as planted.
    surprises: Vec<String>,
}

/// Compares each asset's outcome with what the sandbox planted.
async fn check(config: &Config, sandbox: &Sandbox) -> Result<Checked, Failure> {
    let Some(state) = State::open_to_read(&config.producer.state_dir)? else {
        return Err(Failure::Unexpected("the run left no state".to_owned()));
    };
    let ledger = Ledger::new(state);
    let mut checked = Checked { verified: 0, surprises: Vec::new() };
    for asset in sandbox.audit().assets {
        let Ok(id) = asset.id.parse() else { continue };
        let last = ledger.outcomes_of(&id).await?.pop().map(|event| event.outcome);
        checked.verified += u64::from(is_protected(&asset));
        if !asset.planted.is_met_by(last.as_ref().map(Outcome::name_and_class)) {
            checked
                .surprises
                .push(format!("{} {:?}: planted {:?}, got {last:?}", asset.id, asset.name, asset.planted));
        }
    }
    Ok(checked)
}

fn is_protected(asset: &AuditedAsset) -> bool {
    asset
        .versions
        .iter()
        .any(|version| version.active && version.watermarked && version.maker == Maker::Client)
}

fn report(
    global: &GlobalOptions,
    demo: &Demo,
    first: &Summary,
    second: &Summary,
    checked: &Checked,
    downloads: u64,
) {
    if global.json {
        let mut line = json!(first);
        line["assets"] = json!(demo.assets);
        line["verified"] = json!(checked.verified);
        line["second_run"] =
            json!({"listed": second.listed, "watermarked": second.watermarked, "downloads": downloads});
        output::json(&line);
    } else {
        output::data(&format!(
            "First run:  {} assets, {} watermarked and verified, {} protected before, {} cannot be protected (as planted)",
            first.listed,
            checked.verified,
            first.skipped_unchanged + first.already_protected,
            first.failed,
        ));
        output::data(&format!(
            "Second run: {} assets looked at, {} watermarked, {downloads} downloads",
            second.listed, second.watermarked,
        ));
    }
}
