//! Attributes of a node, with readers that say what is wrong.

use super::{Attr, Attrs, Graph, TensorInfo};
use crate::dim::Dim;
use std::sync::Arc;

/// An attribute that is missing or of the wrong kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttrError {
    /// Required, and not there.
    #[error("attribute `{0}` is missing")]
    Missing(String),
    /// There, but not what the operator's definition says.
    #[error("attribute `{0}` is not {1}")]
    Kind(String, &'static str),
}

impl FromIterator<(Arc<str>, Attr)> for Attrs {
    /// Of a name that is given more than once, the last counts.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Attr)>>(list: I) -> Self {
        let mut all: Vec<(Arc<str>, Attr)> = list.into_iter().collect();
        all.reverse();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|next, kept| next.0 == kept.0);
        Self(all.into())
    }
}

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $out:ty, $what:literal, |$v:ident| $read:expr) => {
        $(#[$doc])*
        pub fn $name(&self, name: &str) -> Result<Option<$out>, AttrError> {
            match self.get(name) {
                None => Ok(None),
                Some(Attr::$variant($v)) => Ok(Some($read)),
                Some(_) => Err(AttrError::Kind(name.to_owned(), $what)),
            }
        }
    };
}

impl Attrs {
    reader!(/** The integer `name`. */ int, Int, i64, "an integer", |v| *v);
    reader!(/** The float `name`. */ float, Float, f32, "a float", |v| *v);
    reader!(/** The text `name`. */ str, Str, &str, "a string", |v| v);
    reader!(/** The integers `name`. */ ints, Ints, &[i64], "a list of integers", |v| v);
    reader!(/** The floats `name`. */ floats, Floats, &[f32], "a list of floats", |v| v);
    reader!(/** The constant `name`. */ tensor, Tensor, &TensorInfo, "a tensor", |v| v);
    reader!(/** The sub-graph `name`. */ graph, Graph, &Graph, "a graph", |v| v);

    /// The integer `name`, or `default`.
    pub fn int_or(&self, name: &str, default: i64) -> Result<i64, AttrError> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    /// The integer `name` as a flag.
    pub fn flag(&self, name: &str) -> Result<bool, AttrError> {
        Ok(self.int_or(name, 0)? != 0)
    }

    /// The integers `name` as sizes.
    pub fn dims(&self, name: &str) -> Result<Option<Vec<Dim>>, AttrError> {
        Ok(self.ints(name)?.map(|v| v.iter().map(|i| Dim::from(*i)).collect()))
    }

    /// Whether `name` is given.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The attribute `name`.
    pub fn get(&self, name: &str) -> Option<&Attr> {
        let at = self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Adds the attribute `name`, or gives it another value.
    pub fn set(&mut self, name: &str, attr: Attr) {
        match self.0.binary_search_by(|(n, _)| (**n).cmp(name)) {
            Ok(at) => self.0[at].1 = attr,
            Err(at) => {
                let mut all = std::mem::take(&mut self.0).into_vec();
                all.insert(at, (name.into(), attr));
                self.0 = all.into();
            }
        }
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attr)> {
        self.0.iter().map(|(name, attr)| (&**name, attr))
    }

    /// All, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Attr)> {
        self.0.iter_mut().map(|(name, attr)| (&**name, attr))
    }
}
