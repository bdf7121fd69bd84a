//! What `release/build` refuses, before it builds anything.

use std::fs;
use std::path::Path;
use std::process::Command;

use rstest::rstest;
use tempfile::TempDir;

use super::{VERSION, errors, project, said};

/// Sources of which only those files are there that the version is compared with, all at 1.2.3.
fn sources() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["release", "charts/grape-operator"] {
        let to = folder.path().join(part);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        said(Command::new("cp").arg("-r").arg(project().join(part)).arg(&to));
    }
    for file in ["Cargo.toml", "CHANGELOG.md"] {
        fs::copy(project().join(file), folder.path().join(file)).unwrap();
    }
    replace(&folder.path().join("Cargo.toml"), VERSION, "1.2.3");
    let chart = folder.path().join("charts/grape-operator/Chart.yaml");
    replace(&chart, &format!("version: {VERSION}"), "version: 1.2.3");
    replace(&chart, &format!("appVersion: {VERSION}"), "appVersion: 1.2.3");
    let changes = "# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2001-02-03\n\n### Added\n\n- All.\n";
    fs::write(folder.path().join("CHANGELOG.md"), changes).unwrap();
    folder
}

/// Replaces the first.
fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{}: {from}", file.display());
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

/// The errors of a build that is refused at once.
fn refusal(sources: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(sources.join("release/build"));
    // Outside of what git might take for its checkout.
    command.args(arguments).env("GIT_CEILING_DIRECTORIES", sources.parent().unwrap());
    let output = command.env_remove("CARGO_TARGET_DIR").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!sources.join("target").exists() && !sources.join("dist").exists(), "it built nothing");
    errors(&output)
}

#[test]
fn a_version_that_is_nowhere_is_refused_with_what_is_there() {
    let sources = sources();
    assert_eq!(
        refusal(sources.path(), &["4.5.6"]),
        "build: VERSION is 4.5.6, and this differs:
  Cargo.toml: version is 1.2.3
  charts/grape-operator/Chart.yaml: version is 1.2.3
  charts/grape-operator/Chart.yaml: appVersion is 1.2.3
  CHANGELOG.md: no section \"## 4.5.6\"; it has Unreleased, 1.2.3
Change these files, or give the VERSION that they have.
"
    );
}

#[rstest]
#[case("Cargo.toml", "\"1.2.3\"", "\"1.2.4\"", "Cargo.toml: version is 1.2.4")]
#[case(
    "charts/grape-operator/Chart.yaml",
    "\nversion: 1.2.3",
    "\nversion: 1.2.4",
    "charts/grape-operator/Chart.yaml: version is 1.2.4"
)]
#[case(
    "charts/grape-operator/Chart.yaml",
    "appVersion: 1.2.3",
    "appVersion: \"1.2.4\"",
    "charts/grape-operator/Chart.yaml: appVersion is 1.2.4"
)]
#[case(
    "CHANGELOG.md",
    "## 1.2.3",
    "## 1.2.30",
    "CHANGELOG.md: no section \"## 1.2.3\"; it has Unreleased, 1.2.30"
)]
fn one_place_that_differs_is_named_alone(
    #[case] file: &str,
    #[case] from: &str,
    #[case] to: &str,
    #[case] line: &str,
) {
    let sources = sources();
    replace(&sources.path().join(file), from, to);
    let refusal = refusal(sources.path(), &["1.2.3"]);
    let differ: Vec<_> = refusal.lines().filter_map(|each| each.strip_prefix("  ")).collect();
    assert_eq!(differ, [line], "{refusal}");
}

#[test]
fn sources_without_a_commit_are_refused() {
    let sources = sources();
    let refusal = refusal(sources.path(), &["1.2.3"]);
    assert!(refusal.contains("this folder is no checkout of git"), "{refusal}");
    assert!(refusal.contains("--trial"), "{refusal}");
}

#[test]
fn files_that_are_not_as_in_the_commit_are_named() {
    let sources = sources();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(sources.path()).args(["-c", "user.name=t", "-c", "user.email=t"]);
        said(command.args(arguments));
    };
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "all"]);
    fs::write(sources.path().join("Cargo.lock"), "").unwrap();
    let refusal = refusal(sources.path(), &["1.2.3"]);
    assert!(refusal.starts_with("?? Cargo.lock\n"), "{refusal}");
    assert!(refusal.contains("these files are not as in the commit"), "{refusal}");
}

#[test]
fn a_folder_with_other_files_is_kept() {
    let sources = sources();
    let out = tempfile::tempdir().unwrap();
    let kept = out.path().join("thesis");
    fs::write(&kept, "").unwrap();
    let refusal =
        refusal(sources.path(), &["1.2.3", "--trial", "--out", out.path().to_str().unwrap()]);
    assert!(refusal.contains("has files that are no release"), "{refusal}");
    assert!(kept.exists());
}

/// A compressed binary of 3 MB and a little, which is not smaller when compressed.
#[test]
fn an_image_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [binary, image] = ["binary", "image.tar"].map(|name| folder.path().join(name));
    let noise: Vec<u8> = std::iter::repeat_with(rand::random).take((3 << 20) + 1024).collect();
    fs::write(&binary, noise).unwrap();
    let mut command = Command::new(project().join("release/image"));
    command.args(["--name", "localhost/grape:test", "--out"]).arg(&image).arg("--binary");
    command.arg(format!("arm64={}", binary.display())).arg("grape");
    let output = command.env("CARGO_TARGET_DIR", super::target()).output().unwrap();
    assert!(!output.status.success() && !image.exists(), "{output:?}");
    let refusal = errors(&output);
    assert!(refusal.contains("localhost/grape:test for arm64 has a layer of "), "{refusal}");
    assert!(refusal.contains("bytes: at most 3145728"), "{refusal}");
}
