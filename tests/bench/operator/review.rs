//! What the webhook is asked about a pod, and the one right answer to it.

use anyhow::{Context, Result, ensure};
use json_patch::Patch;
use k8s_openapi::ByteString;
use serde_json::{Value, json};

/// Where the uid is, of which each review has its own.
const UID: &str = "00000000-0000-4000-8000-000000000000";

/// A text that is the same each time, but for the uid in it.
struct Template(Vec<Vec<u8>>);

impl Template {
    fn of(text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text)?;
        let parts: Vec<_> = text.split(UID).map(|part| part.as_bytes().to_vec()).collect();
        ensure!(parts.len() > 1, "there is no uid in {text}");
        Ok(Self(parts))
    }

    fn with(&self, uid: &str) -> Vec<u8> {
        self.0.join(uid.as_bytes())
    }
}

/// A question, and its answer once that is known.
pub struct Review {
    pod: Value,
    question: Template,
    answer: Option<Template>,
}

impl Review {
    /// About a pod of two containers, that asks for a Grape.
    ///
    /// # Errors
    /// None but a defect of the file.
    pub fn new() -> Result<Self> {
        let pod: Value = serde_yaml::from_str(include_str!("pod.yaml"))?;
        let kind = json!({"group": "", "version": "v1", "kind": "Pod"});
        let resource = json!({"group": "", "version": "v1", "resource": "pods"});
        let question = json!({
            "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
            "request": {
                "uid": UID,
                "kind": kind, "requestKind": kind,
                "resource": resource, "requestResource": resource,
                "name": "", "namespace": "shop", "operation": "CREATE",
                "userInfo": {
                    "username": "system:serviceaccount:kube-system:replicaset-controller",
                    "uid": "6a0d5c1e-3f8b-4a2d-b1c7-9e8f7a6b5c4d",
                    "groups": [
                        "system:serviceaccounts", "system:serviceaccounts:kube-system",
                        "system:authenticated",
                    ],
                    "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"]},
                },
                "object": pod, "oldObject": null, "dryRun": false,
                "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            },
        });
        let question = Template::of(&serde_json::to_vec(&question)?)?;
        Ok(Self { pod, question, answer: None })
    }

    /// The question with this number.
    pub fn question(&self, number: u64) -> Vec<u8> {
        self.question.with(&uid(number))
    }

    /// Takes the answer to the question 0, when it is right: those to others have to be the same.
    ///
    /// # Errors
    /// When it is not: what is wrong with it.
    pub fn learn(&mut self, answer: &[u8]) -> Result<()> {
        let review: Value = serde_json::from_slice(answer)?;
        let response = &review["response"];
        ensure!(response["allowed"] == true && response["uid"] == uid(0), "{review}");
        ensure!(response["patchType"] == "JSONPatch", "{review}");
        let patch: ByteString = serde_json::from_value(response["patch"].clone())?;
        let patch: Patch = serde_json::from_slice(&patch.0)?;
        let mut pod = self.pod.clone();
        json_patch::patch(&mut pod, &patch)?;
        let sidecar = &pod["spec"]["initContainers"][0];
        ensure!(sidecar["name"] == "grape" && sidecar["restartPolicy"] == "Always", "{pod}");
        let containers = pod["spec"]["containers"].as_array().context("it has containers")?;
        let knows = |container: &Value| container["env"].to_string().contains("GRAPE_URL");
        ensure!(containers.len() == 2 && containers.iter().all(knows), "{pod}");
        self.answer = Some(Template::of(answer)?);
        Ok(())
    }

    /// Checks the answer to the question with this number.
    ///
    /// # Errors
    /// When it is another.
    pub fn check(&self, number: u64, answer: &[u8]) -> Result<()> {
        let right = self.answer.as_ref().context("no answer is known yet")?.with(&uid(number));
        ensure!(answer == right, "{number}: {}", String::from_utf8_lossy(answer));
        Ok(())
    }
}

/// The uid of the question with this number, whose first is [`UID`].
fn uid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}
