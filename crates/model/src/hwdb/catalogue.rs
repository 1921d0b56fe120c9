//! Finding devices: the shipped files, and a user's own.

use super::{Device, DeviceKind};
use include_dir::{Dir, include_dir};
use rooflens_ground::files;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../hwdb");

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

impl HwdbError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound { nearest, .. } if !nearest.is_empty() => {
                format!("did you mean `{}`?", nearest.join("`, `"))
            }
            Self::NotFound { .. } => "`rooflens hw list` shows all".to_owned(),
            Self::Malformed { .. } | Self::Io { .. } => {
                "`rooflens hw check FILE` says what is wrong with a device file".to_owned()
            }
        }
    }
}

/// All known devices, by id, and the sources they name.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    devices: BTreeMap<String, Device>,
    sources: BTreeMap<String, String>,
}

/// The file of a folder that says what the keys of sources stand for.
const SOURCES: &str = "sources.toml";
/// The file of published times, which is no device.
const EVIDENCE: &str = "evidence.toml";

/// Bytes that a device file may have; the largest that is shipped has some 10,000.
const LARGEST: u64 = 1 << 20;

impl Catalogue {
    /// The shipped devices.
    pub fn builtin() -> Result<Self, HwdbError> {
        let mut catalogue = Self::default();
        for file in FILES.files() {
            catalogue.add(file.contents_utf8().unwrap_or_default(), file.path())?;
        }
        Ok(catalogue)
    }

    /// Where the user's own device files are: `rooflens/hwdb` in the configuration folder.
    pub fn own_folder() -> Option<PathBuf> {
        let set =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let config = set("XDG_CONFIG_HOME").or_else(|| {
            if cfg!(windows) { set("APPDATA") } else { set("HOME").map(|h| h.join(".config")) }
        });
        config.map(|c| c.join("rooflens").join("hwdb"))
    }

    /// The shipped devices, the user's own in `rooflens/hwdb` of the configuration folder
    /// (`$XDG_CONFIG_HOME`, or `~/.config`), and those of `folder`; later ones win.
    pub fn standard(folder: Option<&Path>) -> Result<Self, HwdbError> {
        let mut catalogue = Self::builtin()?;
        let own = Self::own_folder().filter(|f| f.is_dir());
        for folder in own.as_deref().into_iter().chain(folder) {
            catalogue.load(folder)?;
        }
        Ok(catalogue)
    }

    /// Adds the device files of a folder; one with a known id replaces the shipped device.
    pub fn load(&mut self, folder: &Path) -> Result<(), HwdbError> {
        let fail = |path: &Path, source| HwdbError::Io { file: path.display().to_string(), source };
        for entry in std::fs::read_dir(folder).map_err(|e| fail(folder, e))? {
            let path = entry.map_err(|e| fail(folder, e))?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                let text = files::text(&path, LARGEST).map_err(|e| fail(&path, e))?;
                self.add(&text, &path)?;
            }
        }
        Ok(())
    }

    /// Adds a file of a folder, whatever it is.
    fn add(&mut self, text: &str, path: &Path) -> Result<(), HwdbError> {
        if path.file_name().is_some_and(|n| n == SOURCES) {
            self.sources.extend(parse::<BTreeMap<String, String>>(text, path)?);
        } else if path.file_name().is_some_and(|n| n == EVIDENCE) {
            // Read by `Evidence`.
        } else if path.extension().is_some_and(|e| e == "toml") {
            self.insert(parse(text, path)?);
        }
        Ok(())
    }

    /// What the key of a source stands for.
    pub fn source(&self, key: &str) -> Option<&str> {
        self.sources.get(key).map(String::as_str)
    }

    /// Adds one device file.
    pub fn load_file(&mut self, path: &Path) -> Result<&Device, HwdbError> {
        let text = files::text(path, LARGEST)
            .map_err(|source| HwdbError::Io { file: path.display().to_string(), source })?;
        let device: Device = parse(&text, path)?;
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
                let score = |n: &String| strsim::levenshtein(&wanted, n);
                let contains = names(d).iter().any(|n| n.contains(&wanted));
                let best = names(d).iter().map(score).min().unwrap_or(usize::MAX);
                (if contains { 0 } else { best }, d.id.as_str())
            })
            .collect();
        close.sort_unstable();
        let limit = 1 + wanted.len() / 4;
        let nearest = close.into_iter().filter(|(d, _)| *d <= limit).take(3);
        let nearest = nearest.map(|(_, id)| id.to_owned()).collect();
        Err(HwdbError::NotFound { name: name.to_owned(), nearest })
    }

    /// The GPU that a driver calls `name`, with this much memory: the one that shares most words,
    /// a model number among them; of several, the one closest in memory.
    pub fn closest(&self, name: &str, memory_bytes: Option<u64>) -> Option<&Device> {
        let wanted = words(name);
        let score = |d: &Device| {
            let own =
                words(&[&[d.id.clone(), d.name.clone()], d.aliases.as_slice()].concat().join(" "));
            let shared = || own.intersection(&wanted);
            let model = |w: &&String| {
                w.contains(|c: char| c.is_ascii_digit()) && w.starts_with(char::is_alphabetic)
                    || w.len() == 4 && w.parse::<u32>().is_ok()
            };
            shared().any(|w| model(&w)).then(|| shared().count())
        };
        let distance = |d: &Device| {
            let own = d.dram().and_then(|m| m.capacity_bytes);
            own.zip(memory_bytes).map_or(f64::INFINITY, |(a, b)| (a as f64 / b as f64).ln().abs())
        };
        let scored = self.iter().filter(|d| matches!(d.kind, DeviceKind::Gpu | DeviceKind::Soc));
        let scored = scored.filter_map(|d| Some((score(d)?, d)));
        let order = |a: &Device, b: &Device| {
            let near = distance(b).total_cmp(&distance(a));
            near.then(a.aliases.len().cmp(&b.aliases.len()))
        };
        scored.max_by(|a, b| a.0.cmp(&b.0).then(order(a.1, b.1))).map(|(_, d)| d)
    }
}

/// Lower-case words, and digits with the letters GB after them.
fn words(name: &str) -> std::collections::BTreeSet<String> {
    let parts = name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    parts.map(str::to_lowercase).collect()
}

fn parse<T: serde::de::DeserializeOwned>(text: &str, path: &Path) -> Result<T, HwdbError> {
    toml::from_str(text).map_err(|e: toml::de::Error| HwdbError::Malformed {
        file: path.display().to_string(),
        message: in_one_line(&e, text),
    })
}

/// What is wrong and in which line, which is quoted.
fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    const WIDEST: usize = 60;
    let before = error.span().and_then(|span| text.get(..span.start));
    let Some(before) = before else { return error.message().to_owned() };
    let at = before.matches('\n').count();
    let line: String = text.lines().nth(at).unwrap_or_default().chars().take(WIDEST).collect();
    format!("line {}, `{}`: {}", at + 1, line.trim(), error.message())
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_files_are_sound() {
        let catalogue = Catalogue::builtin().unwrap();
        assert!(catalogue.iter().count() >= 76);
        for device in catalogue.iter() {
            assert_eq!(catalogue.problems(device), Vec::<String>::new(), "{}", device.id);
            assert!(FILES.get_file(format!("{}.toml", device.id)).is_some(), "{}", device.id);
        }
    }

    #[test]
    fn a_drivers_name_finds_its_device() {
        let catalogue = Catalogue::builtin().unwrap();
        for (name, gb, id) in [
            ("Tesla V100-SXM2-16GB", 16, "nvidia-v100-sxm2-16gb"),
            ("Tesla T4", 16, "nvidia-t4"),
            ("NVIDIA A100-SXM4-80GB", 80, "nvidia-a100-sxm4-80gb"),
            ("NVIDIA A100-PCIE-40GB", 40, "nvidia-a100-pcie-40gb"),
            ("NVIDIA H100 80GB HBM3", 80, "nvidia-h100-sxm5-80gb"),
            ("NVIDIA H100 PCIe", 80, "nvidia-h100-pcie-80gb"),
            ("NVIDIA H200", 141, "nvidia-h200-sxm-141gb"),
            ("NVIDIA A10G", 24, "nvidia-a10g"),
            ("NVIDIA GeForce RTX 4090", 24, "nvidia-rtx4090"),
        ] {
            let found = catalogue.closest(name, Some(gb << 30)).map(|d| d.id.as_str());
            assert_eq!(found, Some(id), "{name}");
        }
        assert_eq!(catalogue.closest("GeForce GTX 750", None), None);
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
        let found = catalogue.find("nothing");
        assert!(matches!(&found, Err(HwdbError::NotFound { nearest, .. }) if nearest.is_empty()));
    }
}
