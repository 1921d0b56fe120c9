//! Why a file is not a model.

use std::path::{Path, PathBuf};

/// A file that could not be read as a model, and where it goes wrong.
#[derive(Debug)]
pub struct LoadError {
    file: Option<PathBuf>,
    kind: LoadErrorKind,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadErrorKind {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A directory where a file is needed.
    #[error("is a directory")]
    Directory,
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// Recognised as something else.
    #[error("is {0}, not a model this tool reads")]
    NotAModel(&'static str),
    /// Recognised as a model of a kind that is not read.
    #[error("is {what}")]
    Refused {
        /// What it is, with its article.
        what: String,
        /// How to get to a file that is read.
        instead: String,
    },
    /// The bytes do not follow the format.
    #[error("is not a valid {format} model, or is cut short: {why}")]
    Malformed {
        /// The format, as [`super::FORMATS`] names it.
        format: &'static str,
        /// One clause.
        why: String,
    },
    /// A signature or an output that was asked for is not there, or one must be chosen.
    #[error("{message}")]
    Choice {
        /// What is missing.
        message: String,
        /// What there is, with the flag that chooses it.
        known: String,
    },
    /// An input whose number of axes the file does not say.
    #[error("{place} states no shape")]
    Shapeless {
        /// The input.
        place: String,
    },
    /// An input of the size −1, which some exporters write where they mean any.
    #[error("{place}: axis {axis} has the negative size -1")]
    Open {
        /// The input.
        place: String,
        /// Which axis.
        axis: usize,
    },
    /// The parts contradict each other.
    #[error("{place}: {message}")]
    Invalid {
        /// Value or node.
        place: String,
        /// One clause.
        message: String,
    },
}

impl LoadError {
    /// What went wrong.
    pub fn kind(&self) -> &LoadErrorKind {
        &self.kind
    }

    /// What the user can do, where there is something.
    pub fn hint(&self) -> Option<&str> {
        Some(match &self.kind {
            LoadErrorKind::Directory => {
                "name the model file inside it; of folders, SavedModels are read"
            }
            LoadErrorKind::NotAModel(_) => "`rooflens formats` lists what is read",
            LoadErrorKind::Refused { instead, .. } => instead,
            LoadErrorKind::Choice { known, .. } => known,
            LoadErrorKind::Malformed { format: "ONNX", .. } => {
                "check the file with `onnx.checker`, or export it again"
            }
            LoadErrorKind::Empty | LoadErrorKind::Malformed { .. } => {
                "the export or download may have stopped early"
            }
            LoadErrorKind::Invalid { .. } => {
                "the exporter wrote a contradictory model; export it again"
            }
            LoadErrorKind::Open { .. } => {
                "if the exporter means any size, give the whole shape: \
                 `rooflens analyze FILE --shape NAME=1x3x224x224`"
            }
            LoadErrorKind::Shapeless { .. } => {
                "give the whole shape: `rooflens analyze FILE --shape NAME=1x3x224x224`"
            }
            LoadErrorKind::Io(_) => "check the path",
        })
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        Self { file: Some(path.to_owned()), ..self }
    }
}

impl From<LoadErrorKind> for LoadError {
    fn from(kind: LoadErrorKind) -> Self {
        Self { file: None, kind }
    }
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.file {
            Some(path) => write!(f, "`{}` {}", path.display(), self.kind),
            None => write!(f, "model {}", self.kind),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

/// Errors of a format's readers, which say its name.
pub(super) fn malformed(format: &'static str, why: impl Into<String>) -> LoadError {
    let why: String = why.into();
    let why = shown(&why);
    LoadErrorKind::Malformed { format, why }.into()
}

/// Parts of a file that contradict each other, at a node or a value.
pub(super) fn invalid(place: impl Into<String>, message: impl Into<String>) -> LoadError {
    let (place, message): (String, String) = (place.into(), message.into());
    let (place, message) = (shown(&place), shown(&message));
    LoadErrorKind::Invalid { place, message }.into()
}

fn shown(text: &str) -> String {
    rooflens_ground::text::shown(text).into_owned()
}
