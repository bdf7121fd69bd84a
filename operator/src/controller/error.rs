//! Why a reconciliation failed.

use std::fmt::Display;

use kube::core::Status;

/// Why a reconciliation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server, or an admission webhook, refuses an object.
    #[error("the {kind} {name} is refused: {message}")]
    Refused {
        /// The object's kind.
        kind: String,
        /// The object's name.
        name: String,
        /// The message.
        message: String,
    },
    /// There is an object of that name which does not belong to this cluster.
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
    /// There is an object of that name, of a deleted cluster of the same name.
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
        /// The message.
        source: kube::Error,
    },
    /// An object cannot be written, which is a defect.
    #[error("cannot write an object: {0}")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// The API server cannot do it now: what, and with which object.
    pub fn failed(verb: &'static str, object: impl Display) -> impl FnOnce(kube::Error) -> Self {
        let object = object.to_string();
        move |source| Self::Failed { verb, object, source }
    }

    /// Whether the API server, or an admission webhook, refuses the object as it is.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Failed { source: kube::Error::Api(refusal), .. } => is_lasting(refusal),
            error => error.is_lasting(),
        }
    }

    /// Whether the error lasts until somebody changes something.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NameTaken { .. })
    }
}

/// Whether the API server, or an admission webhook, will refuse the same object a moment later,
/// too.
pub(super) fn is_lasting(refusal: &Status) -> bool {
    match refusal.code {
        400 | 403 | 422 => true,
        // The API server's reason for a list with two entries of one key.
        500 => refusal.message.starts_with("failed to create typed patch object"),
        _ => false,
    }
}
