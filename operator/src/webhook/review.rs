//! AdmissionReviews (`admission.k8s.io/v1`), read and answered. Pure.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};

use crate::inject::{Reason, Verdict};

/// The only version that is read, as the configuration says.
const VERSION: &str = "admission.k8s.io/v1";

/// HTTP's word for what is refused.
const FORBIDDEN: u16 = 403;

/// A review that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is no AdmissionReview.
    #[error("expected an AdmissionReview of {VERSION}: {0}")]
    NoReview(String),
    /// It asks about something else than a pod, or about one that cannot be read.
    #[error("expected the creation of a Pod: {0}")]
    NoPod(String),
}

/// A question about a pod.
#[derive(Debug)]
pub struct Review {
    /// What the API server asks.
    pub request: AdmissionRequest<Pod>,
    /// The pod.
    pub pod: Pod,
    /// Its namespace.
    pub namespace: String,
}

/// Reads a question.
///
/// # Errors
/// It is none, or not about a pod that is made.
pub fn read(body: &[u8]) -> Result<Review, Unreadable> {
    let mut input = serde_json::Deserializer::from_slice(body);
    let review: AdmissionReview<Pod> =
        serde_path_to_error::deserialize(&mut input).map_err(|error| {
            let (path, error) = (error.path().to_string(), error.inner().to_string());
            if path.starts_with("request.object") {
                Unreadable::NoPod(format!("{path}: {error}"))
            } else {
                Unreadable::NoReview(format!("{path}: {error}"))
            }
        })?;
    let (kind, version) = (&review.types.kind, &review.types.api_version);
    if (&**kind, &**version) != ("AdmissionReview", VERSION) {
        return Err(Unreadable::NoReview(format!("it is {kind:?} of {version:?}")));
    }
    let request: AdmissionRequest<Pod> = review
        .try_into()
        .map_err(|_| Unreadable::NoReview("it has no request".to_owned()))?;
    let resource = &request.resource;
    if (&*resource.group, &*resource.resource) != ("", "pods") || request.sub_resource.is_some() {
        let of = request.sub_resource.as_deref().unwrap_or_default();
        return Err(Unreadable::NoPod(format!("it is about {:?} {of:?}", resource.resource)));
    }
    if request.operation != Operation::Create {
        return Err(Unreadable::NoPod(format!("it is about {:?}", request.operation)));
    }
    let Some(pod) = request.object.clone() else {
        return Err(Unreadable::NoPod("there is no object".to_owned()));
    };
    let named = request.namespace.clone().or_else(|| pod.metadata.namespace.clone());
    let Some(namespace) = named.filter(|namespace| !namespace.is_empty()) else {
        return Err(Unreadable::NoPod("it has no namespace".to_owned()));
    };
    Ok(Review { request, pod, namespace })
}

/// Answers a question.
///
/// # Errors
/// The answer cannot be written, which is a defect.
pub fn answer(review: &Review, verdict: Verdict) -> serde_json::Result<Vec<u8>> {
    let response = AdmissionResponse::from(&review.request);
    let response = match verdict {
        Verdict::Unchanged { .. } => response,
        Verdict::Inject { patch, warnings, .. } => {
            let mut response = AdmissionResponse { ..response };
            response.warnings = (!warnings.is_empty()).then_some(warnings);
            response.with_patch(patch).map_err(|error| {
                <serde_json::Error as serde::ser::Error>::custom(error.to_string())
            })?
        }
        Verdict::Skip { reason, message } => warned(response, reason, &message),
        Verdict::Refuse { reason, message } => {
            let mut response = response.deny(said(reason, &message));
            response.result.code = FORBIDDEN;
            // What `kubectl` shows between brackets.
            response.result.reason = reason.to_string();
            response
        }
    };
    serde_json::to_vec(&response.into_review())
}

fn warned(mut response: AdmissionResponse, reason: Reason, message: &str) -> AdmissionResponse {
    response.warnings = Some(vec![said(reason, message)]);
    response
}

fn said(reason: impl fmt::Display, message: &str) -> String {
    format!("{reason}: {message}")
}
