//! How a program of the connector starts, prints, logs and exits.
//!
//! [`program`] parses the command line and turns the result of the work into an exit code; [`signals`] asks the work to stop.
//! [`output`] is the only way to the terminal: results go to stdout, everything else to stderr, and no text can move the
//! cursor or forge a line. [`log`] is the log, as text or as JSON.
//!
//! ```
//! use std::process::ExitCode;
//!
//! use common::failure::Failure;
//!
//! let code = cli::program::run(async { Err(Failure::Configuration("no portal is named".to_owned())) });
//! assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(3)));
//! ```

pub mod log;
pub mod options;
pub mod output;
pub mod panics;
pub mod program;
pub mod signals;
