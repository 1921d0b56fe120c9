//! A folder of files that the kernel writes, each read as a number or a word, with the reason where it cannot be.

use std::io;
use std::path::{Path, PathBuf};

/// How a file is read; tests put refusals here.
pub type Reader = fn(&Path) -> io::Result<String>;

/// The kernel's files under a folder; tests replace the folder and how its files are read.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    read: Reader,
}

/// Why a file gives no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is no such file, or no longer.
    #[error("{0} is gone")]
    Gone(String),
    /// Only other users may read it.
    #[error(
        "{0} may not be read by this user: sudo chmod o+r {0} (until the next start; other users \
         can then read it too)"
    )]
    Refused(String),
    /// The driver gave an error.
    #[error("{0} cannot be read: {1}")]
    Failed(String, String),
    /// It holds something else.
    #[error("{0} holds no number")]
    NoNumber(String),
    /// A number that no device can have.
    #[error("{0} says {1}, which cannot be")]
    Absurd(String, String),
}

impl Tree {
    /// The files under `root`, read by `read`.
    pub fn new(root: &Path, read: Reader) -> Self {
        Self { root: root.into(), read }
    }

    /// The files under `root`.
    pub fn at(root: &Path) -> Self {
        Self::new(root, |path| std::fs::read_to_string(path))
    }

    /// The folder or file at a path below the root.
    pub fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The entries of a folder whose names begin with `prefix`, in the order of the numbers in their names; none
    /// where there is no such folder.
    pub fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
        let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
        let number = |name: &str| {
            let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse::<u64>().unwrap_or(u64::MAX)
        };
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut all: Vec<(u64, String, PathBuf)> = entries
            .filter_map(|e| Some((name(&e.path())?, e.path())))
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, path)| (number(&name), name, path))
            .collect();
        all.sort();
        all.into_iter().map(|(_, _, path)| path).collect()
    }

    /// What a file holds, without space around it.
    pub fn text(&self, path: &Path) -> Result<String, ReadError> {
        let shown = path.display().to_string();
        match (self.read)(path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(e) => Err(match e.kind() {
                io::ErrorKind::NotFound => ReadError::Gone(shown),
                io::ErrorKind::PermissionDenied => ReadError::Refused(shown),
                _ => ReadError::Failed(shown, e.to_string()),
            }),
        }
    }

    /// A name that a board or driver gave, of at most 40 characters that a terminal can show; `None` where there is none.
    pub fn label(&self, path: &Path) -> Option<String> {
        let text = self.text(path).ok()?;
        let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let label: String = text.chars().take(40).map(plain).collect();
        (!label.is_empty()).then_some(label)
    }

    /// The integer that a file holds.
    pub fn integer(&self, path: &Path) -> Result<i64, ReadError> {
        let text = self.text(path)?;
        text.parse().map_err(|_| ReadError::NoNumber(path.display().to_string()))
    }

    /// An integer of at least zero, as a number of units of which there are `per` in one.
    pub fn scaled(&self, path: &Path, per: f64) -> Result<f64, ReadError> {
        let raw = self.integer(path)?;
        if raw < 0 {
            return Err(ReadError::Absurd(path.display().to_string(), raw.to_string()));
        }
        Ok(raw as f64 / per)
    }

    /// Whether a file may be read now.
    pub fn is_readable(&self, path: &Path) -> bool {
        self.text(path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["hwmon10", "hwmon2", "other1", "hwmon1"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let names: Vec<String> = Tree::entries(folder.path(), "hwmon")
            .iter()
            .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["hwmon1", "hwmon2", "hwmon10"]);
        assert!(Tree::entries(&folder.path().join("none"), "").is_empty());
    }

    #[test]
    fn what_gives_no_number_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let tree = Tree::at(folder.path());
        assert!(matches!(tree.integer(&path), Err(ReadError::Gone(_))));
        for (text, what) in [("", "holds no number"), ("-7", "says -7"), ("1e9", "no number")] {
            std::fs::write(&path, text).unwrap();
            let error = tree.scaled(&path, 1e6).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
        std::fs::write(&path, "2500000\n").unwrap();
        assert_eq!(tree.scaled(&path, 1e6), Ok(2.5));
        let refuse = Tree::new(folder.path(), |_| Err(io::ErrorKind::PermissionDenied.into()));
        assert!(refuse.integer(&path).unwrap_err().to_string().contains("sudo chmod o+r"));
        std::fs::write(&path, "VDD\u{1b}[31m").unwrap();
        assert_eq!(tree.label(&path).unwrap(), "VDD?[31m");
    }
}
