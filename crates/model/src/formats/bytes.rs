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

/// What a file is, when its first bytes say that it is something this tool does not read.
pub(super) fn other_format(file: &[u8]) -> Option<&'static str> {
    let starts: &[(&[u8], &str)] = &[
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive (TorchScript or Keras?)"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras?)"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x7fELF", "a program"),
        (b"GGUF", "a GGUF file"),
        (b"{", "a JSON text"),
        (b"<", "an XML or HTML text"),
        (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for"),
    ];
    if file.get(4..8) == Some(b"TFL3") {
        return Some("a TensorFlow Lite model");
    }
    starts.iter().find(|(magic, _)| file.starts_with(magic)).map(|(_, what)| *what)
}
