//! The manifests for Kubernetes, as `kubectl kustomize` renders them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::documents::document;

/// What a person has, with every component that fits.
pub(crate) const WAYS: [&[&str]; 2] =
    [&["fleet", "monitoring", "keda", "backup"], &["single", "monitoring", "backup"]];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap()
}

fn kubectl(arguments: &[&str]) -> Vec<u8> {
    let program = root().join("target/kubernetes/kubectl");
    assert!(program.exists(), "run scripts/kubernetes");
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every manifest of a kustomization and its components.
pub(crate) fn rendered(way: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().canonicalize().unwrap();
    // A kustomization names no absolute path.
    let up = "../".repeat(inside.components().count() - 1);
    let at =
        |name: &str| format!("{up}{}/deploy/kubernetes/{name}", root().strip_prefix("/").unwrap().display());
    let components: Vec<_> = way[1..].iter().map(|name| at(name)).collect();
    let text = serde_json::json!({
        // What is generated here is found by its name only in one namespace with the rest.
        "namespace": "bynder-imatag-connector",
        "resources": [at(way[0])],
        "components": components,
        "configMapGenerator": [{ "name": "connector", "files": ["connector.toml"] }],
    });
    std::fs::write(inside.join("kustomization.yaml"), text.to_string()).unwrap();
    std::fs::write(inside.join("connector.toml"), document("deploy/connector.example.toml")).unwrap();
    let yaml = inside.join("rendered");
    std::fs::write(&yaml, kubectl(&["kustomize", inside.to_str().unwrap()])).unwrap();
    // kubectl writes JSON where it changes something.
    let label = ["label", "--local", "--kubeconfig", "/dev/null", "-o", "json", "rendered=yes", "-f"];
    let json = kubectl(&[&label[..], &[yaml.to_str().unwrap()]].concat());
    serde_json::Deserializer::from_slice(&json).into_iter().collect::<Result<_, _>>().unwrap()
}

pub(crate) fn list<'a>(value: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(at).and_then(Value::as_array).into_iter().flatten()
}

/// The templates of pods: labels and specification.
pub(crate) fn pods(manifests: &[Value]) -> Vec<(&Value, &Value)> {
    let template = |manifest: &'_ Value| {
        let at =
            if manifest["kind"] == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
        manifest.pointer(at).filter(|template| template.is_object()).map(|_| at)
    };
    let found = manifests.iter().filter_map(|manifest| manifest.pointer(template(manifest)?));
    found.map(|template| (&template["metadata"]["labels"], &template["spec"])).collect()
}

pub(crate) fn component(labels: &Value) -> &str {
    labels["app.kubernetes.io/component"].as_str().unwrap()
}

/// Whether a selector of any kind takes a pod with these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let equal = match (&selector["matchLabels"], &selector["matchExpressions"]) {
        (Value::Null, Value::Null) => selector,
        (equal, _) => equal,
    };
    let is_equal =
        equal.as_object().is_none_or(|equal| equal.iter().all(|(key, value)| &labels[key] == value));
    is_equal
        && list(selector, "/matchExpressions").all(|one| {
            assert_eq!(one["operator"], "In");
            list(one, "/values").any(|value| &labels[one["key"].as_str().unwrap()] == value)
        })
}

/// The variables of all pods.
pub(crate) fn settings(manifests: &[Value]) -> Vec<(String, String)> {
    let is_settings = |name: &str| name.starts_with("settings-");
    let map = manifests
        .iter()
        .find(|manifest| manifest["metadata"]["name"].as_str().is_some_and(is_settings))
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    map["data"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect()
}
