//! Files as shared bytes, mapped so that only what is looked at is loaded.

use super::{LoadError, LoadErrorKind};
use bytes::Bytes;
use std::fs::File;
use std::path::Path;

/// Maps the file at `path`.
pub(super) fn map(path: &Path) -> Result<Bytes, LoadError> {
    let fail = |kind: LoadErrorKind| LoadError::from(kind).in_file(path);
    let file = File::open(path).map_err(|e| fail(e.into()))?;
    let meta = file.metadata().map_err(|e| fail(e.into()))?;
    if meta.is_dir() {
        return Err(fail(LoadErrorKind::Directory));
    }
    if !meta.is_file() {
        let error = std::io::Error::other("not a regular file");
        return Err(fail(error.into()));
    }
    if meta.len() == 0 {
        return Err(fail(LoadErrorKind::Empty));
    }
    #[allow(unsafe_code)]
    // SAFETY: the map is private and read-only. Another process that truncates the file while it
    // is mapped ends this one with SIGBUS, as for every tool that maps its input.
    let map = unsafe { memmap2::MmapOptions::new().map(&file) }.map_err(|e| fail(e.into()))?;
    #[cfg(unix)]
    // Read-ahead would pull weights in; a refusal only costs time.
    let _ = map.advise(memmap2::Advice::Random);
    Ok(Bytes::from_owner(map))
}
