//! Checks this machine: the folders that the connector writes to, and their free space.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use config::{Config, Origin};
use files::private::{Exposure, exposed, is_read_by_all};
use ledger::state::{State, StateError};

use super::report::{Finding, Report};

/// The ledger's size for a million outcomes, with room to spare.
const SPACE_FOR_STATE: u64 = 2 << 30;

pub(super) fn check(config: &Config, origins: &[(String, Origin)], report: &mut Report) {
    let directory = &config.producer.state_dir;
    report.add("state directory", state(directory));
    let spool = &config.worker.spool_dir;
    let finding = match writable(spool) {
        Ok(text) => closed(spool, text),
        Err(text) => Finding::Fail(format!("{text}; set worker.spool_dir"), 3),
    };
    report.add("spool directory", finding);
    if let Some(folder) = config.checks.keep_rejected_in.as_deref().filter(|folder| folder.exists()) {
        report.add("folder of rejected files", closed(folder, format!("{} is there", folder.display())));
    }
    if let Some(file) = config::identity_file().filter(|file| file.exists()) {
        report.add("age identity", closed(&file, format!("{} is for this user alone", file.display())));
    }
    if config.notify.webhook.is_some() || config.notify.mail.is_some() {
        let finding = match wiring::notifier(config) {
            Ok(_) => Finding::Pass("its settings can be used; `connector notify-test` tries them".to_owned()),
            Err(error) => Finding::Fail(error.to_string(), 3),
        };
        report.add("notifications", finding);
    }
    for (key, secret) in config.secrets() {
        if let Some(path) = secret.file()
            && let Some(mode) = is_read_by_all(path)
        {
            let said = format!(
                "{}: its mode {mode:o} lets every user read the secret; chmod o-r it",
                path.display()
            );
            report.add(key, Finding::Warn(said));
        }
    }
    if let Some(file) = file_with_secrets(config, origins)
        && exposed(file).is_some()
    {
        report.add("secrets in plain text", closed(file, String::new()));
    }
    let most = config.worker.spool_max.as_u64();
    report.add("disk", space(&[(directory, SPACE_FOR_STATE), (spool, most)]));
}

fn state(directory: &Path) -> Finding {
    let writable = match writable(directory) {
        Ok(text) => text,
        Err(text) => return Finding::Fail(format!("{text}; set producer.state_dir"), 3),
    };
    match State::open_to_read(directory) {
        Ok(_) => closed(directory, writable),
        Err(error @ StateError::InUse { .. }) => Finding::Warn(error.to_string()),
        Err(error) => Finding::Fail(error.to_string(), 3),
    }
}

/// Checks that no other user can reach the file or folder.
fn closed(path: &Path, well: String) -> Finding {
    match exposed(path) {
        None => Finding::Pass(well),
        Some(above @ Exposure::Above(_)) => {
            let text = format!("{}: {above}", path.display());
            if above.is_refused() && !path.is_file() { Finding::Fail(text, 3) } else { Finding::Warn(text) }
        }
        Some(exposure @ Exposure::Foreign(_)) if path.is_dir() => {
            let remedy = "give it to this user (chown), or name another folder";
            Finding::Fail(format!("{}: {exposure}; {remedy}", path.display()), 3)
        }
        Some(exposure) => Finding::Warn(format!(
            "{}: {exposure}; what is there is for this user alone: give it to this user and take the rights of others away \
             (chown, chmod go=), or name another place",
            path.display()
        )),
    }
}

/// The configuration file, if it contains a secret in plain text.
fn file_with_secrets<'a>(config: &Config, origins: &'a [(String, Origin)]) -> Option<&'a Path> {
    let is_plain = |of: &str| config.secrets().any(|(key, secret)| key == of && secret.is_plain());
    origins.iter().find_map(|(key, origin)| match origin {
        Origin::File(path) if is_plain(key) => Some(path.as_path()),
        Origin::File(_) | Origin::Environment(_) | Origin::CommandLine => None,
    })
}

/// Tests with an unnamed temporary file; does not create a missing folder.
fn writable(directory: &Path) -> Result<String, String> {
    if directory.exists() && !directory.is_dir() {
        return Err(format!("{} is not a folder", directory.display()));
    }
    let there = nearest_there(directory);
    tempfile::tempfile_in(&there).map_err(|error| format!("cannot write to {}: {error}", there.display()))?;
    Ok(if there == directory {
        format!("{} can be written", directory.display())
    } else {
        format!("{} is not there yet and can be made", directory.display())
    })
}

/// The folder, or its nearest existing ancestor.
fn nearest_there(directory: &Path) -> PathBuf {
    let there = directory.ancestors().find(|folder| folder.is_dir());
    there.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn space(wanted: &[(&PathBuf, u64)]) -> Finding {
    let mut short = Vec::new();
    for (directory, wanted) in wanted {
        let there = nearest_there(directory);
        let Ok(free) = files::disk::free(&there) else { continue };
        if free < *wanted {
            short.push(format!(
                "{} has {} free of the {} that it may need",
                directory.display(),
                ByteSize(free),
                ByteSize(*wanted)
            ));
        }
    }
    if short.is_empty() {
        Finding::Pass("state and spool have the space that they may need".to_owned())
    } else {
        Finding::Warn(format!("{}; make room, or lower worker.spool_max", short.join("; ")))
    }
}
