//! Shapes of the weights that a file stores. Headers and attributes are read, never the weights.

use super::super::{LoadError, LoadErrorKind};
use bytes::Bytes;
use hdf5_reader::group::Group;
use hdf5_reader::{Datatype, Hdf5File, OpenOptions, RawAttribute};
use std::collections::BTreeMap;

/// Groups and tensors that are looked at; a file can name one of its parts again and again.
const MAX_OBJECTS: usize = 100_000;
/// Groups inside groups: two for each nested model.
const MAX_DEPTH: usize = 72;
/// Bytes of all paths.
const MAX_PATHS: usize = 32 << 20;
/// An object's header takes no more bytes than this.
const MAX_HEADER: usize = 8 << 20;

type Sizes = Vec<u64>;

/// A stored tensor, and its sizes.
pub(super) type Tensor = (String, Sizes);

/// What is stored.
pub(super) enum Stored {
    /// By path, as archives have it: `layers/conv2d/vars/0`.
    Paths(BTreeMap<String, Sizes>),
    /// For each layer of the model, its tensors by name and in their order, as HDF5 files have it.
    Layers(BTreeMap<String, Vec<Tensor>>),
}

impl Stored {
    /// The tensor at a path of an archive.
    pub(super) fn at(&self, path: &str) -> Option<&Sizes> {
        match self {
            Self::Paths(paths) => paths.get(path),
            Self::Layers(_) => None,
        }
    }

    /// All tensors below a path of an archive.
    pub(super) fn below(&self, path: &str) -> Vec<Tensor> {
        let Self::Paths(paths) = self else { return Vec::new() };
        let prefix = format!("{path}/");
        let from = paths.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
        from.map(|(name, sizes)| (name[prefix.len()..].to_owned(), sizes.clone())).collect()
    }

    /// The tensors of a layer, of those at the top of the model.
    pub(super) fn layer(&self, name: &str) -> &[Tensor] {
        match self {
            Self::Paths(_) => &[],
            Self::Layers(layers) => layers.get(name).map_or(&[], Vec::as_slice),
        }
    }
}

fn broken(error: impl std::fmt::Display) -> LoadError {
    let why = format!("its HDF5 part cannot be read: {error}");
    LoadErrorKind::Malformed { format: super::NAME, why }.into()
}

/// An HDF5 file.
pub(super) struct Root {
    root: Group,
    bytes: usize,
}

impl Root {
    /// Opens a file; what it names outside itself is not looked at.
    pub(super) fn open(file: &Bytes) -> Result<Self, LoadError> {
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_max_read_bytes(0)
            .with_max_object_header_bytes(MAX_HEADER);
        let bytes = file.len();
        let opened = Hdf5File::from_owner(file.clone(), options).map_err(broken)?;
        Ok(Self { root: opened.root_group().map_err(broken)?, bytes })
    }

    /// The attributes of the file that are texts.
    pub(super) fn attributes(&self) -> Result<Vec<(String, String)>, LoadError> {
        Ok(texts(&self.root, self.bytes)?
            .into_iter()
            .filter_map(|(name, texts)| Some((name, texts.into_iter().next()?)))
            .collect())
    }

    /// Whether there is a group of this name at the top.
    pub(super) fn has(&self, name: &str) -> bool {
        self.root.group(name).is_ok()
    }

    /// The weights of a whole model.
    pub(super) fn weights(&self) -> Result<Option<Stored>, LoadError> {
        let Ok(weights) = self.root.group("model_weights") else { return Ok(None) };
        let mut walk = Walk { objects: 0, paths: 0, found: BTreeMap::new() };
        let mut layers = BTreeMap::new();
        for group in weights.groups().map_err(broken)? {
            walk.found.clear();
            walk.group(&group, "", 0)?;
            let mut names = named(texts(&group, self.bytes)?);
            if names.is_empty() {
                names = walk.found.keys().cloned().collect();
            }
            let sizes = |name: String| walk.found.get(&name).cloned().map(|sizes| (name, sizes));
            layers.insert(group.name().to_owned(), names.into_iter().filter_map(sizes).collect());
        }
        Ok(Some(Stored::Layers(layers)))
    }
}

/// What `weight_names` says, which is split where it is long.
fn named(attributes: Vec<(String, Vec<String>)>) -> Vec<String> {
    let number = |name: &str| {
        let rest = name.strip_prefix("weight_names")?;
        if rest.is_empty() { Some(0) } else { rest.parse::<usize>().ok() }
    };
    let mut parts: Vec<(usize, Vec<String>)> =
        attributes.into_iter().filter_map(|(name, texts)| Some((number(&name)?, texts))).collect();
    parts.sort_by_key(|(number, _)| *number);
    parts.into_iter().flat_map(|(_, texts)| texts).collect()
}

/// The weights in an archive.
pub(super) fn of_archive(file: &Bytes) -> Result<Stored, LoadError> {
    let root = Root::open(file)?;
    let mut walk = Walk { objects: 0, paths: 0, found: BTreeMap::new() };
    let mut found = BTreeMap::new();
    for group in root.root.groups().map_err(broken)? {
        // Early files name the layers so.
        let old = group.name() == "_layer_checkpoint_dependencies";
        let name = if old { "layers" } else { group.name() };
        if name != "optimizer" {
            walk.group(&group, name, 0)?;
            found.append(&mut walk.found);
        }
    }
    Ok(Stored::Paths(found))
}

/// The texts among a group's attributes. Many attributes may name one long text: what they take in all is
/// looked at before any is read.
fn texts(group: &Group, bytes: usize) -> Result<Vec<(String, Vec<String>)>, LoadError> {
    let raw = group.raw_attributes().map_err(broken)?;
    let total = raw.iter().fold(0_u64, |sum, attribute| sum.saturating_add(length(attribute)));
    if total > u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(2) {
        return Err(broken("its attributes name more text than it holds"));
    }
    let attributes = group.attributes().map_err(broken)?;
    let read = |a: hdf5_reader::Attribute| {
        let texts = a.read_strings().or_else(|_| a.read_string().map(|text| vec![text]));
        Some((a.name.clone(), texts.ok()?))
    };
    Ok(attributes.into_iter().filter_map(read).collect())
}

/// Bytes of an attribute's contents, those outside its header among them.
fn length(attribute: &RawAttribute) -> u64 {
    let message = attribute.message();
    let own = u64::try_from(message.raw_data.len()).unwrap_or(u64::MAX);
    let variable = match &message.datatype {
        Datatype::VarLen { .. } => true,
        Datatype::String { size, .. } => {
            matches!(size, hdf5_reader::messages::datatype::StringSize::Variable)
        }
        _ => false,
    };
    if !variable {
        return own;
    }
    // References of 16 bytes, or of 12 where addresses are short: a length comes first.
    let lengths = |each: usize| {
        let each = message.raw_data.chunks_exact(each);
        each.fold(0_u64, |sum, reference| {
            let length: [u8; 4] = reference[..4].try_into().unwrap_or_default();
            sum.saturating_add(u64::from(u32::from_le_bytes(length)))
        })
    };
    let count = message.dataspace.num_elements().unwrap_or(1).max(1);
    let each = usize::try_from(own / count).unwrap_or(16).clamp(10, 16);
    lengths(each)
}

/// A walk over groups.
struct Walk {
    objects: usize,
    paths: usize,
    found: BTreeMap<String, Sizes>,
}

impl Walk {
    fn group(&mut self, group: &Group, path: &str, depth: usize) -> Result<(), LoadError> {
        if depth > MAX_DEPTH {
            return Err(broken(format!("its groups nest deeper than {MAX_DEPTH}")));
        }
        let (groups, tensors) = group.members().map_err(broken)?;
        self.objects += 1 + groups.len() + tensors.len();
        let join = |name: &str| {
            if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
        };
        let names =
            groups.iter().map(Group::name).chain(tensors.iter().map(hdf5_reader::Dataset::name));
        self.paths += names.map(|name| path.len() + name.len() + 1).sum::<usize>();
        if self.objects > MAX_OBJECTS || self.paths > MAX_PATHS {
            return Err(broken(format!("it has more than {MAX_OBJECTS} objects")));
        }
        for tensor in &tensors {
            self.found.insert(join(tensor.name()), tensor.shape().to_vec());
        }
        for inner in &groups {
            self.group(inner, &join(inner.name()), depth + 1)?;
        }
        Ok(())
    }
}
