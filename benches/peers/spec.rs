//! What to run: one program with its arguments, and one contender of a comparison.

use std::path::{Path, PathBuf};

/// One program of a pipeline.
#[derive(Clone)]
pub(crate) struct Spec {
    /// A path, or a name to be found in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is in its environment beside what is in ours.
    pub env: Vec<(String, String)>,
}

impl Spec {
    /// `words` are arguments separated by blanks: none of ours holds a blank.
    pub(crate) fn new(program: impl AsRef<Path>, words: &str) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: words.split_whitespace().map(str::to_owned).collect(),
            env: Vec::new(),
        }
    }

    /// With this in its environment.
    pub(crate) fn with(mut self, name: &str, value: &Path) -> Self {
        let value = value.to_string_lossy().into_owned();
        self.env.push((name.to_owned(), value));
        self
    }
}

/// Why there is no figure.
#[derive(Clone, Debug)]
pub(crate) enum Skip {
    /// weir does not know the option yet.
    NotBuilt,
    /// The tool is not there, or cannot do this.
    Absent(String),
    /// It ran and did not do what it had to do.
    Failed(String),
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotBuilt => write!(f, "not built yet"),
            Self::Absent(why) => write!(f, "{why}"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
        }
    }
}

impl From<std::io::Error> for Skip {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// How a contender sits between producer and consumer.
#[derive(Clone)]
pub(crate) enum Middle {
    /// Not at all: the bare pipe.
    Bare,
    /// As this program.
    Via(Spec),
    /// It cannot, for this reason.
    Missing(String),
}

/// One row of a comparison.
#[derive(Clone)]
pub(crate) struct Contender {
    /// Its name in the table.
    pub label: String,
    /// Where it stands.
    pub middle: Middle,
    /// Is it weir itself, whose usage errors mean "not built yet"?
    pub is_weir: bool,
}

impl Contender {
    /// The bare pipe.
    pub(crate) fn bare() -> Self {
        Self::other("bare pipe", Middle::Bare)
    }

    /// Anything but weir.
    pub(crate) fn other(label: impl Into<String>, middle: Middle) -> Self {
        Self {
            label: label.into(),
            middle,
            is_weir: false,
        }
    }

    /// The program in the middle.
    pub(crate) fn spec(&self) -> Result<&Spec, Skip> {
        match &self.middle {
            Middle::Via(spec) => Ok(spec),
            Middle::Missing(why) => Err(Skip::Absent(why.clone())),
            Middle::Bare => Err(Skip::Absent("it takes a program".to_owned())),
        }
    }

    /// The programs of a pipeline with this contender in the middle.
    pub(crate) fn between(&self, producer: Spec, consumer: Spec) -> Result<Vec<Spec>, Skip> {
        match &self.middle {
            Middle::Bare => Ok(vec![producer, consumer]),
            Middle::Via(spec) => Ok(vec![producer, spec.clone(), consumer]),
            Middle::Missing(why) => Err(Skip::Absent(why.clone())),
        }
    }
}
