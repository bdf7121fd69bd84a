//! Why a reconciliation did not come to its end.

use std::fmt::Display;

use kube::core::Status;

/// Why a reconciliation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server, or an admission webhook, does not take an object as it would have to be.
    #[error("the {kind} {name} is refused: {message}")]
    Refused {
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
        /// What was said.
        message: String,
    },
    /// An object of that name is there, and is not this cluster's.
    #[error(
        "there is a {kind} {name} already that is not this cluster's: remove it, or make a cluster of \
         another name"
    )]
    NameTaken {
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
    },
    /// An object of that name is there, of a cluster of the same name that was deleted.
    #[error("the {kind} {name} of a former GrapeCluster of this name is still being removed")]
    Former {
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
    },
    /// The API server cannot do it now.
    #[error("cannot {verb} the {object}: {source}")]
    Failed {
        /// What it cannot do.
        verb: &'static str,
        /// With what: a kind and a name.
        object: String,
        /// What was said.
        source: kube::Error,
    },
    /// An object cannot be written, which is a defect.
    #[error("cannot write an object: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The API server cannot do it now: what, and with which thing.
    pub fn failed(verb: &'static str, object: impl Display) -> impl FnOnce(kube::Error) -> Self {
        let object = object.to_string();
        move |source| Self::Failed { verb, object, source }
    }

    /// Whether the API server, or who has a say there, does not want it as it is.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Failed { source: kube::Error::Api(refusal), .. } => is_lasting(refusal),
            error => error.is_lasting(),
        }
    }

    /// Whether it stays so until somebody changes something.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NameTaken { .. })
    }
}

/// Whether the API server, or an admission webhook, will not take the same object a moment later.
pub(super) fn is_lasting(refusal: &Status) -> bool {
    match refusal.code {
        400 | 403 | 422 => true,
        // The API server answers so to a list with two entries of one key.
        500 => refusal.message.starts_with("failed to create typed patch object"),
        _ => false,
    }
}
