//! Files on disk, where other users of the machine may be hostile.
//!
//! [`private`] creates files and folders that no other user can enter. [`written`] reads what people write, such as a
//! configuration, and refuses what another user may change. [`spool::Spool`] receives files of any size from a service, bounded
//! together by the space that the configuration gives them. [`pack`] puts several files into one; [`disk`] measures.
//!
//! ```
//! use std::os::unix::fs::PermissionsExt;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("state");
//! files::private::folder(&path, &[]).unwrap();
//! assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
//! ```

pub mod disk;
pub mod pack;
pub mod private;
pub mod spool;
pub mod written;
