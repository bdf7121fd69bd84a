//! When a cluster does not come up, the error names the component that failed, with its last
//! output.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use grape_tests::kubernetes::{access, cluster, tools};

use super::traces;

const NAME: &str = "broken";

#[test]
fn the_component_that_fails_is_named_with_its_last_lines() {
    if access::existing().unwrap().is_some() {
        eprintln!("NOT TESTED: it is about clusters of ours, and USE_EXISTING_CLUSTER is set.");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let real = tools::binary("etcd").unwrap();
    for tool in fs::read_dir(real.parent().unwrap()).unwrap() {
        let tool = tool.unwrap();
        symlink(tool.path(), folder.path().join(tool.file_name())).unwrap();
    }
    replace(folder.path(), "kube-controller-manager");
    let told = up(folder.path());
    for part in ["controller-manager has ended", "the last lines of", "no quorum of cats"] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }

    // And where a tool is missing, which.
    fs::remove_file(folder.path().join("kubelet")).unwrap();
    assert!(up(folder.path()).contains("has no kubelet"));

    let unnamed = traces::unnamed(NAME);
    assert!(cluster::command(NAME).arg("down").status().unwrap().success());
    assert_eq!(traces::left(NAME, &unnamed), Vec::<String>::new());
}

/// By one that says why it ends.
fn replace(folder: &Path, tool: &str) {
    let path = folder.join(tool);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "#!/bin/sh\necho no quorum of cats >&2\nexit 3\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The output of a failing `up`.
fn up(assets: &Path) -> String {
    let mut up = cluster::command(NAME);
    let output = up.arg("up").env("KUBEBUILDER_ASSETS", assets).output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}
