//! A folder: every file in it and below it is a record, in the order of their names.

use super::{DataError, Kind, LONGEST, Record, Records};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Files, at most; some 100 MB of names.
const MOST: usize = 1 << 21;
/// Folders in folders, at most.
const DEEPEST: usize = 16;

#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Below the root.
    files: Vec<Box<Path>>,
    size: u64,
}

impl Folder {
    pub(super) fn open(root: &Path) -> Result<Self, DataError> {
        let whole = root.canonicalize().map_err(|e| DataError::io(root, &e))?;
        let mut folder = Self { root: whole, files: Vec::new(), size: 0 };
        let mut open = vec![(PathBuf::new(), 0)];
        while let Some((below, depth)) = open.pop() {
            let path = folder.root.join(&below);
            for entry in std::fs::read_dir(&path).map_err(|e| DataError::io(&path, &e))? {
                let name = entry.map_err(|e| DataError::io(&path, &e))?.file_name();
                // Hidden files are those of tools.
                if name.as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                let below = below.join(name);
                if folder.add(&below)? {
                    continue;
                }
                if depth >= DEEPEST {
                    return Err(wrong(&folder.root.join(below), "lies too deep in the data set"));
                }
                open.push((below, depth + 1));
            }
        }
        if folder.files.is_empty() {
            return Err(wrong(root, "has no files"));
        }
        folder.files.sort_unstable();
        Ok(folder)
    }

    /// Adds a file; `false` of a folder.
    fn add(&mut self, below: &Path) -> Result<bool, DataError> {
        let path = self.root.join(below);
        let about = path.symlink_metadata().map_err(|e| DataError::io(&path, &e))?;
        let about = if about.is_symlink() {
            let to = path.canonicalize().map_err(|e| DataError::io(&path, &e))?;
            if !to.starts_with(&self.root) {
                return Err(wrong(&path, "is a link out of the data set"));
            }
            let about = to.metadata().map_err(|e| DataError::io(&path, &e))?;
            if about.is_dir() {
                return Err(wrong(&path, "is a link to a folder"));
            }
            about
        } else {
            about
        };
        if about.is_dir() {
            return Ok(false);
        }
        if !about.is_file() {
            return Err(wrong(&path, "is neither a file nor a folder"));
        }
        if about.len() > LONGEST {
            return Err(wrong(&path, &format!("has more than {} MiB", LONGEST >> 20)));
        }
        if self.files.len() >= MOST {
            return Err(wrong(&self.root, &format!("has more than {MOST} files")));
        }
        self.size += about.len();
        self.files.push(below.into());
        Ok(true)
    }
}

fn wrong(path: &Path, what: &str) -> DataError {
    DataError::new(
        format!("`{}` {what}", path.display()),
        "a data set is a folder with its records as files",
    )
}

impl Records for Folder {
    fn count(&self) -> u64 {
        self.files.len() as u64
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn record(&self, at: u64) -> Result<Record, DataError> {
        let below = usize::try_from(at).ok().and_then(|at| self.files.get(at));
        let below = below.ok_or_else(|| wrong(&self.root, "has no such file"))?;
        let path = self.root.join(below);
        let (mut bytes, limit) = (Vec::new(), LONGEST + 1);
        let read = File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        read.map_err(|e| DataError::io(&path, &e))?;
        if bytes.len() as u64 > LONGEST {
            return Err(wrong(&path, "has become longer than a record may be"));
        }
        let name = below.display().to_string();
        Ok(Record { name, kind: Kind::of(below), bytes: bytes.into() })
    }
}
