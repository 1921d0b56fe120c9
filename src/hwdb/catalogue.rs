//! Finding devices: the shipped files, and a user's own.

use super::Device;
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::Path;

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/hwdb");

/// Why a device cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HwdbError {
    /// No device of this name.
    #[error("no device is called `{name}`")]
    NotFound {
        /// What was asked for.
        name: String,
        /// The names closest to it.
        nearest: Vec<String>,
    },
    /// A file that is not a device file.
    #[error("`{file}` is not a device file: {message}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong, and where.
        message: String,
    },
    /// A folder or file that cannot be read.
    #[error("`{file}` cannot be read: {source}")]
    Io {
        /// The file or folder.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

/// All known devices, by id.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    devices: BTreeMap<String, Device>,
}

impl Catalogue {
    /// The shipped devices.
    pub fn builtin() -> Result<Self, HwdbError> {
        let mut catalogue = Self::default();
        for file in FILES.files() {
            let path = file.path();
            let device_file = path.extension().is_some_and(|e| e == "toml")
                && path.file_name().is_none_or(|n| n != "sources.toml");
            if device_file {
                catalogue.insert(parse(file.contents_utf8().unwrap_or_default(), path)?);
            }
        }
        Ok(catalogue)
    }

    /// Adds the device files of a folder; one with a known id replaces the shipped device.
    pub fn load(&mut self, folder: &Path) -> Result<(), HwdbError> {
        let fail = |path: &Path, source| HwdbError::Io { file: path.display().to_string(), source };
        for entry in std::fs::read_dir(folder).map_err(|e| fail(folder, e))? {
            let path = entry.map_err(|e| fail(folder, e))?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                self.load_file(&path)?;
            }
        }
        Ok(())
    }

    /// Adds one device file.
    pub fn load_file(&mut self, path: &Path) -> Result<&Device, HwdbError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| HwdbError::Io { file: path.display().to_string(), source })?;
        let device = parse(&text, path)?;
        let id = device.id.clone();
        self.insert(device);
        Ok(&self.devices[&id])
    }

    /// Adds a device.
    pub fn insert(&mut self, device: Device) {
        self.devices.insert(device.id.clone(), device);
    }

    /// All devices, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }

    /// The device of this id, alias or name; case, spaces and dashes do not matter.
    pub fn find(&self, name: &str) -> Result<&Device, HwdbError> {
        let wanted = plain(name);
        let names = |d: &Device| -> Vec<String> {
            let all = [&d.id, &d.name].into_iter().chain(&d.aliases);
            all.map(|n| plain(n)).collect()
        };
        if let Some(device) = self.iter().find(|d| names(d).contains(&wanted)) {
            return Ok(device);
        }
        let mut close: Vec<(usize, &str)> = self
            .iter()
            .map(|d| {
                let score = |n: &String| edit_distance(&wanted, n);
                let contains = names(d).iter().any(|n| n.contains(&wanted));
                let best = names(d).iter().map(score).min().unwrap_or(usize::MAX);
                (if contains { 0 } else { best }, d.id.as_str())
            })
            .collect();
        close.sort_unstable();
        let limit = 2 + wanted.len() / 3;
        let nearest = close.into_iter().filter(|(d, _)| *d <= limit).take(3);
        let nearest = nearest.map(|(_, id)| id.to_owned()).collect();
        Err(HwdbError::NotFound { name: name.to_owned(), nearest })
    }
}

fn parse(text: &str, path: &Path) -> Result<Device, HwdbError> {
    toml::from_str(text).map_err(|e: toml::de::Error| HwdbError::Malformed {
        file: path.display().to_string(),
        message: e.to_string().trim().to_owned(),
    })
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein distance.
pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_files_are_sound() {
        let catalogue = Catalogue::builtin().unwrap();
        assert!(catalogue.iter().count() >= 76);
        let sources: BTreeMap<String, String> =
            toml::from_str(FILES.get_file("sources.toml").unwrap().contents_utf8().unwrap())
                .unwrap();
        for device in catalogue.iter() {
            assert_eq!(device.problems(), Vec::<String>::new(), "{}", device.id);
            assert!(FILES.get_file(format!("{}.toml", device.id)).is_some(), "{}", device.id);
            assert!(!device.sources.is_empty(), "{}", device.id);
            for key in &device.sources {
                assert!(sources.contains_key(key), "{}: source `{key}`", device.id);
            }
        }
    }

    #[test]
    fn short_names_find_their_device() {
        let catalogue = Catalogue::builtin().unwrap();
        for (name, id) in [
            ("V100", "nvidia-v100-sxm2-16gb"),
            ("t4", "nvidia-t4"),
            ("h100", "nvidia-h100-sxm5-80gb"),
            ("RTX 2080 Ti", "nvidia-rtx2080ti"),
            ("orin", "nvidia-jetson-agx-orin-64gb"),
            ("epyc", "amd-epyc-9654"),
            ("xeon", "intel-xeon-8480plus"),
        ] {
            assert_eq!(catalogue.find(name).unwrap().id, id);
        }
        let Err(HwdbError::NotFound { nearest, .. }) = catalogue.find("h10") else { panic!() };
        assert!(nearest.contains(&"nvidia-h100-sxm5-80gb".to_owned()), "{nearest:?}");
    }
}
