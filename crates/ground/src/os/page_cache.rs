//! Files in the page cache: how much of them is in memory, and dropping them from it.

use std::fs::File;
use std::path::{Path, PathBuf};

/// How much of some files is in the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cached {
    /// Files that could be looked at; empty ones do not count.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Those of them that are in memory, in whole pages.
    pub resident_bytes: u64,
}

/// Files below `path`, or itself; at most a hundred thousand.
pub fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![path.to_owned()]);
    while let Some(next) = open.pop() {
        if std::fs::metadata(&next)?.is_file() {
            found.push(next);
        } else {
            for entry in std::fs::read_dir(&next)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() || kind.is_file() {
                    open.push(entry.path());
                }
            }
        }
        if found.len() + open.len() > 100_000 {
            return Err(std::io::Error::other("more than 100000 files"));
        }
    }
    Ok(found)
}

/// Asks the system to drop the pages of these files; those that a process has mapped stay.
#[cfg(target_os = "linux")]
pub fn evict(files: &[PathBuf]) {
    use rustix::fs::{Advice, fadvise};
    for path in files {
        let Ok(file) = File::open(path) else { continue };
        // Pages that are not written yet cannot be dropped.
        let _ = file.sync_data();
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
}

/// Nothing that is known to work here.
#[cfg(not(target_os = "linux"))]
pub fn evict(_: &[PathBuf]) {}

/// How much of these files is in the page cache, by mincore; `None` where the system does not show it.
pub fn look(files: &[PathBuf]) -> Option<Cached> {
    let mut sum = Cached { files: 0, bytes: 0, resident_bytes: 0 };
    for path in files {
        let Some((bytes, resident)) = File::open(path).ok().and_then(|f| resident(&f)) else {
            continue;
        };
        sum.files += 1;
        sum.bytes += bytes;
        sum.resident_bytes += resident;
    }
    (sum.bytes > 0).then_some(sum)
}

/// Bytes of a file and those of them that are in memory.
#[cfg(target_os = "linux")]
fn resident(file: &File) -> Option<(u64, u64)> {
    let length = file.metadata().ok()?.len();
    if length == 0 {
        return None;
    }
    // SAFETY: the mapping is never read, so that its contents may change.
    #[allow(unsafe_code)]
    let map = unsafe { memmap2::Mmap::map(file) }.ok()?;
    let page = rustix::param::page_size();
    let mut pages = vec![0u8; map.len().div_ceil(page)];
    // SAFETY: the range is the mapping's own, and the vector has a byte for each of its pages.
    #[allow(unsafe_code)]
    let code =
        unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), pages.as_mut_ptr()) };
    let there = pages.iter().filter(|p| *p & 1 == 1).count() as u64;
    (code == 0).then_some((length, (there * page as u64).min(length)))
}

#[cfg(not(target_os = "linux"))]
fn resident(_: &File) -> Option<(u64, u64)> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_leaves_and_returns() {
        // Not in the temporary folder, which may be memory itself.
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = folder.path().join("data");
        std::fs::write(&path, vec![7; 3 << 20]).unwrap();
        let all = files(folder.path()).unwrap();
        assert_eq!(all, std::slice::from_ref(&path));
        assert_eq!(look(&all).unwrap().resident_bytes, 3 << 20);
        evict(&all);
        assert_eq!(look(&all).unwrap(), Cached { files: 1, bytes: 3 << 20, resident_bytes: 0 });
        assert_eq!(std::fs::read(&path).unwrap().len(), 3 << 20);
        assert_eq!(look(&all).unwrap().resident_bytes, 3 << 20);
        assert!(files(&folder.path().join("none")).is_err());
    }
}
