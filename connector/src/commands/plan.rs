//! `connector plan`: what a run would do, with `--list` asset by asset.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use bytesize::ByteSize;
use cli::options::GlobalOptions;
use cli::output;
use common::asset::Asset;
use common::failure::Failure;
use producer::plan::{self, List};
use serde::Serialize;

use super::spreadsheet::row;
use crate::arguments::{ListFormat, Plan};

pub(crate) async fn run(global: &GlobalOptions, command: &Plan) -> Result<(), Failure> {
    let Some(format) = command.list else { return Box::pin(plan::run(global, &command.scope, None)).await };
    let format = if global.json { ListFormat::Json } else { format };
    // A list of JSON ends with a summary in JSON.
    let global = GlobalOptions { json: format == ListFormat::Json, ..global.clone() };
    let is_first = AtomicBool::new(true);
    let each = move |asset: &Asset, version| {
        let line = Line::of(asset, version);
        match format {
            ListFormat::Text => output::try_data(&line.in_words()),
            ListFormat::Csv => line.csv(is_first.swap(false, Ordering::Relaxed)),
            ListFormat::Json => output::try_json(&line),
        }
    };
    let list = List { each: Box::new(each), is_table: format == ListFormat::Csv };
    Box::pin(plan::run(&global, &command.scope, Some(list))).await
}

/// An asset that a run would protect.
#[derive(Serialize)]
struct Line {
    asset_id: String,
    asset_name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    extension: String,
    bytes: u64,
    /// The version that would be protected.
    version: u32,
}

impl Line {
    fn of(asset: &Asset, version: u32) -> Self {
        Self {
            asset_id: asset.id.to_string(),
            asset_name: asset.shown_name(),
            kind: asset.kind.name(),
            extension: asset.shown_extension(),
            bytes: asset.bytes,
            version,
        }
    }

    fn in_words(&self) -> String {
        let Self { asset_id, asset_name, kind, extension, bytes, version } = self;
        format!("{asset_id}  {kind}  {extension}  {}  version {version}  {asset_name}", ByteSize(*bytes))
    }

    fn csv(self, is_first: bool) -> io::Result<()> {
        row(self, is_first)?.lines().try_for_each(output::try_data)
    }
}
