//! Says how far Imatag is with a medium:
//!
//! `IMATAG_API_KEY=… cargo run -p imatag --example medium -- MEDIUM_ID`

#![expect(clippy::print_stdout, reason = "an example has no log to keep clean")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use imatag::{Credential, Imatag, MediumId, MediumState, Profile, Settings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let medium = std::env::args().nth(1).ok_or("name the medium's id")?;
    let imatag = Imatag::new(Settings {
        profile: Profile::load("imatag", &toml::Table::new())?,
        base_url: None,
        allow_http: false,
        credential: Credential::ApiKey(std::env::var("IMATAG_API_KEY")?.into()),
        directories: BTreeSet::new(),
        media_id_metadata: "bynder_media_id".to_owned(),
        request_timeout: Duration::from_secs(30),
        observer: Arc::new(()),
        uploads_in_flight: 1,
        exchange_log: None,
    })?;
    match imatag.status(&MediumId::try_from(medium)?).await? {
        MediumState::Pending => println!("not watermarked yet"),
        MediumState::Ready(_) => println!("watermarked"),
        MediumState::AlreadyProtected => println!("it carried a watermark before"),
        MediumState::Failed { reason } => println!("failed: {reason}"),
    }
    Ok(())
}
