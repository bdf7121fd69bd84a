//! AdmissionReviews (`admission.k8s.io/v1`), read and answered. Pure.

use json_patch::Patch;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::TypeMeta;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use serde::Serialize;

use crate::inject::{Reason, Verdict};

/// The only version that is read, as the configuration says.
const VERSION: &str = "admission.k8s.io/v1";

/// HTTP's word for what is refused.
const FORBIDDEN: u16 = 403;

/// A review that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The text is not an AdmissionReview.
    #[error("expected an AdmissionReview of {VERSION}: {0}")]
    NoReview(String),
    /// The review is not about a pod, or about a pod that cannot be read.
    #[error("expected the creation of a Pod: {0}")]
    NoPod(String),
}

/// A review of a pod.
#[derive(Debug)]
pub struct Review {
    /// The request, without the pod.
    pub request: AdmissionRequest<Pod>,
    /// The pod.
    pub pod: Pod,
    /// The pod's namespace.
    pub namespace: String,
}

/// Reads a review.
///
/// # Errors
/// The text is not a review, or not one of a new pod.
pub fn read(body: &[u8]) -> Result<Review, Unreadable> {
    // The path of a wrong field takes time to follow: it is looked up only after an error.
    let review = serde_json::from_slice(body).or_else(|_| read_with_path(body))?;
    let (kind, version) = (&review.types.kind, &review.types.api_version);
    if (&**kind, &**version) != ("AdmissionReview", VERSION) {
        return Err(Unreadable::NoReview(format!("it is {kind:?} of {version:?}")));
    }
    let mut request: AdmissionRequest<Pod> =
        review.try_into().map_err(|_| Unreadable::NoReview("it has no request".to_owned()))?;
    let resource = &request.resource;
    if (&*resource.group, &*resource.resource) != ("", "pods") || request.sub_resource.is_some() {
        let of = request.sub_resource.as_deref().unwrap_or_default();
        return Err(Unreadable::NoPod(format!("it is about {:?} {of:?}", resource.resource)));
    }
    if request.operation != Operation::Create {
        return Err(Unreadable::NoPod(format!("it is about {:?}", request.operation)));
    }
    let Some(pod) = request.object.take() else {
        return Err(Unreadable::NoPod("there is no object".to_owned()));
    };
    if pod.metadata == ObjectMeta::default() {
        return Err(Unreadable::NoPod("it has no metadata".to_owned()));
    }
    let named = request.namespace.clone().or_else(|| pod.metadata.namespace.clone());
    let Some(namespace) = named.filter(|namespace| !namespace.is_empty()) else {
        return Err(Unreadable::NoPod("it has no namespace".to_owned()));
    };
    Ok(Review { request, pod, namespace })
}

fn read_with_path(body: &[u8]) -> Result<AdmissionReview<Pod>, Unreadable> {
    let mut input = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut input).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.inner().to_string());
        if path.starts_with("request.object") {
            Unreadable::NoPod(format!("{path}: {error}"))
        } else {
            Unreadable::NoReview(format!("{path}: {error}"))
        }
    })
}

/// An answer in the API's form.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    types: &'a TypeMeta,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    #[serde(flatten)]
    verdict: &'a AdmissionResponse,
    #[serde(flatten)]
    patch_body: Option<PatchBody>,
}

/// kube would write the patch as a list of numbers, which takes three times the room.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PatchBody {
    patch: ByteString,
    patch_type: &'static str,
}

impl PatchBody {
    fn of(patch: &Patch) -> serde_json::Result<Self> {
        Ok(Self { patch: ByteString(serde_json::to_vec(patch)?), patch_type: "JSONPatch" })
    }
}

/// Answers a review.
///
/// # Errors
/// The answer cannot be written, which is a defect.
pub fn answer(review: &Review, verdict: Verdict) -> serde_json::Result<Vec<u8>> {
    let mut response = AdmissionResponse::from(&review.request);
    let mut patch_body = None;
    match verdict {
        Verdict::Unchanged { .. } => {}
        Verdict::Inject { patch, warnings, .. } => {
            response.warnings = (!warnings.is_empty()).then_some(warnings);
            patch_body = Some(PatchBody::of(&patch)?);
        }
        Verdict::Skip { reason, message } => {
            response.warnings = Some(vec![said(reason, &message)]);
        }
        Verdict::Refuse { reason, message } => {
            response = response.deny(said(reason, &message));
            response.result.code = FORBIDDEN;
            // What `kubectl` shows between brackets.
            response.result.reason = reason.to_string();
        }
    }
    let types = &response.types;
    serde_json::to_vec(&Answer { types, response: Response { verdict: &response, patch_body } })
}

fn said(reason: Reason, message: &str) -> String {
    format!("{reason}: {message}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn question() -> Value {
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1", "operation": "CREATE", "namespace": "shop", "name": "", "dryRun": true,
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "resource": {"group": "", "version": "v1", "resource": "pods"},
                "userInfo": {"username": "somebody"},
                "object": {
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"generateName": "web-", "later": 1},
                    "spec": {"containers": [{"name": "web", "later": 2}]},
                },
                "oldObject": null, "later": 3,
            },
        })
    }

    fn read_value(question: &Value) -> Result<Review, String> {
        read(&serde_json::to_vec(question).unwrap()).map_err(|error| error.to_string())
    }

    fn answered(verdict: Verdict) -> Value {
        let review = read_value(&question()).unwrap();
        let answer: Value = serde_json::from_slice(&answer(&review, verdict).unwrap()).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!(answer["kind"], "AdmissionReview");
        assert_eq!(answer["response"]["uid"], "u-1");
        answer["response"].clone()
    }

    #[test]
    fn a_question_is_read() {
        let review = read_value(&question()).unwrap();
        assert_eq!(review.namespace, "shop");
        assert!(review.request.dry_run);
        assert_eq!(review.pod.metadata.generate_name.as_deref(), Some("web-"));
    }

    #[rstest]
    #[case("/kind", json!("Pod"), "expected an AdmissionReview of admission.k8s.io/v1: it is \"Pod\"")]
    #[case("/apiVersion", json!("admission.k8s.io/v1beta1"), "\"admission.k8s.io/v1beta1\"")]
    #[case("/request", Value::Null, "it has no request")]
    #[case("/request/uid", json!(1), "expected an AdmissionReview of admission.k8s.io/v1: ")]
    #[case("/request/operation", json!("UPDATE"), "the creation of a Pod: it is about Update")]
    #[case("/request/operation", json!("WATCH"), "unknown variant `WATCH`")]
    #[case("/request/resource/resource", json!("services"), "it is about \"services\"")]
    #[case("/request/subResource", json!("status"), "it is about \"pods\" \"status\"")]
    #[case("/request/object", Value::Null, "there is no object")]
    #[case("/request/object/metadata", Value::Null, "it has no metadata")]
    #[case("/request/object/metadata", json!({}), "it has no metadata")]
    #[case("/request/object/spec/containers", json!({}), "invalid type: map")]
    #[case("/request/namespace", Value::Null, "it has no namespace")]
    fn what_is_no_question_about_a_pod_is_told(
        #[case] place: &str,
        #[case] value: Value,
        #[case] part: &str,
    ) {
        let mut question = question();
        question["request"]["subResource"] = Value::Null;
        *question.pointer_mut(place).unwrap() = value;
        let error = read_value(&question).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    #[rstest]
    #[case(b"")]
    #[case(b"{}")]
    #[case(b"[[[[")]
    #[case(b"\xff\xfe")]
    fn what_is_no_review_at_all_is_told(#[case] body: &[u8]) {
        let error = read(body).unwrap_err().to_string();
        assert!(error.starts_with("expected an AdmissionReview of "), "{error}");
    }

    #[test]
    fn a_refusal_tells_its_reason_and_what_to_do() {
        let message = "container web has port 20001; give it another".to_owned();
        let response = answered(Verdict::Refuse { reason: Reason::PortTaken, message });
        assert_eq!(response["allowed"], false);
        assert_eq!(response["status"]["code"], 403);
        assert_eq!(response["status"]["reason"], "PortTaken");
        let said = "PortTaken: container web has port 20001; give it another";
        assert_eq!(response["status"]["message"], said);
    }

    #[test]
    fn who_is_left_out_is_warned() {
        let message = "no Windows".to_owned();
        let response = answered(Verdict::Skip { reason: Reason::Windows, message });
        assert_eq!(response["allowed"], true);
        assert_eq!(response["warnings"], json!(["Windows: no Windows"]));
        assert_eq!(response["patch"], Value::Null);
    }

    #[test]
    fn a_change_is_a_patch() {
        let operations = json!([{"op": "add", "path": "/metadata/labels", "value": {}}]);
        let patch = serde_json::from_value(operations.clone()).unwrap();
        let warnings = vec!["look".to_owned()];
        let response = answered(Verdict::Inject { patch, warnings, reason: Reason::Injected });
        assert_eq!(response["patchType"], "JSONPatch");
        assert_eq!(response["warnings"], json!(["look"]));
        let patch: ByteString = serde_json::from_value(response["patch"].clone()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&patch.0).unwrap(), operations);
        let response = answered(Verdict::Unchanged { reason: Reason::OptedOut });
        assert_eq!(response["allowed"], true);
        assert!(response.get("patch").is_none() && response.get("warnings").is_none());
    }
}
