//! What is in a release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use grape_tests::figure;
use serde_json::Value;

use super::{VERSION, binary, build, copy_to, dist, said, target};

const ARCHITECTURES: [&str; 2] = ["amd64", "arm64"];

/// The files of a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(each) = folders.pop() {
        for entry in fs::read_dir(each).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn every_file_is_there_with_its_checksum() {
    let mut expected: BTreeSet<String> = BTreeSet::new();
    for program in ["grape", "grape-operator"] {
        for arch in ARCHITECTURES {
            expected.insert(format!("bin/{program}-{VERSION}-linux-{arch}"));
            expected.insert(format!("sbom/{program}-{VERSION}-linux-{arch}.cdx.json"));
        }
        expected.insert(format!("completions/bash/{program}"));
        expected.insert(format!("completions/zsh/_{program}"));
        expected.insert(format!("completions/fish/{program}.fish"));
    }
    expected.insert(format!("charts/grape-operator-{VERSION}.tgz"));
    let others = [
        "images/grape.tar",
        "images/operator.tar",
        "LICENSES.md",
        "LICENSES-std.html",
        "CHANGES.md",
    ];
    expected.extend(others.map(str::to_owned));
    let pages = files(&dist().join("man"));
    for page in ["grape.1", "grape-lookup.1", "grape-operator.1", "grape-operator-run.1"] {
        assert!(pages[page].starts_with(b".ie"), "{page}");
    }
    expected.extend(pages.keys().map(|page| format!("man/{page}")));

    let sums = fs::read_to_string(dist().join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<_> =
        sums.lines().map(|line| line.split_once("  ").unwrap().1.to_owned()).collect();
    assert_eq!(listed, expected);
    said(Command::new("sha256sum").current_dir(dist()).args(["--check", "--quiet", "SHA256SUMS"]));
    let mut here: BTreeSet<_> = files(dist()).into_keys().collect();
    assert!(here.remove("SHA256SUMS"));
    assert_eq!(here, expected);
    for (name, content) in files(dist()) {
        assert!(!content.is_empty(), "{name} is empty");
    }
}

#[test]
fn an_image_index_has_an_image_for_each_architecture() {
    for (image, program) in [("grape", "grape"), ("operator", "grape-operator")] {
        let tar = dist().join(format!("images/{image}.tar"));
        let read = |name: &str| {
            let mut command = Command::new("tar");
            command.args(["--extract", "--to-stdout", "--file"]).arg(&tar).arg(name);
            command.output().unwrap().stdout
        };
        let json = |digest: &Value| -> Value {
            let blob = format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
            serde_json::from_slice(&read(&blob)).unwrap()
        };
        let layout: Value = serde_json::from_slice(&read("index.json")).unwrap();
        assert_eq!(layout["manifests"].as_array().unwrap().len(), 1);
        let named = &layout["manifests"][0];
        assert_eq!(named["mediaType"], "application/vnd.oci.image.index.v1+json");
        let name = format!("localhost/{image}:{VERSION}");
        assert_eq!(named["annotations"]["io.containerd.image.name"], name);
        let index = json(&named["digest"]);
        let manifests = index["manifests"].as_array().unwrap();
        let found: Vec<_> =
            manifests.iter().map(|each| &each["platform"]["architecture"]).collect();
        assert_eq!(found, ARCHITECTURES);
        for manifest in manifests {
            let arch = &manifest["platform"]["architecture"];
            let content = json(&manifest["digest"]);
            let config = json(&content["config"]["digest"]);
            assert_eq!(&config["architecture"], arch);
            assert_eq!(config["config"]["User"], "65532:65532");
            assert_eq!(config["config"]["Entrypoint"][0], format!("/{program}"));
            let labels = &config["config"]["Labels"];
            assert_eq!(labels["org.opencontainers.image.version"], VERSION);
            let layer = content["layers"][0]["size"].as_u64().unwrap();
            let most = if image == "grape" { 3 << 20 } else { 14 << 20 };
            figure::tell(&format!("the layer of {name} for {arch}: {layer} bytes"));
            assert!(layer <= most, "{name} for {arch} has {layer} bytes");
        }
    }
}

/// The `e_machine` of ELF, and that no interpreter is asked for.
#[test]
fn binaries_are_static_and_of_their_architecture() {
    for program in ["grape", "grape-operator"] {
        for (arch, machine) in [("amd64", 62), ("arm64", 183)] {
            let content = fs::read(binary(program, arch)).unwrap();
            assert!(content.starts_with(b"\x7fELF\x02\x01"), "{program} for {arch}");
            assert_eq!(u16::from_le_bytes([content[18], content[19]]), machine);
            let has =
                |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!has("/lib/ld-") && !has("/lib64/ld-"), "{program} for {arch} is not static");
            // Of the machine that built it.
            let home = std::env::var("HOME").unwrap();
            assert!(
                !has(&format!("{home}/.cargo")),
                "{program} for {arch} has a path of this home"
            );
            assert!(!has(super::project().to_str().unwrap()), "{program} for {arch} has this path");
        }
    }
}

#[test]
fn completions_work_and_are_what_the_command_prints() {
    for program in ["grape", "grape-operator"] {
        let native = binary(program, if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" });
        for (shell, file) in [
            ("bash", program.to_owned()),
            ("zsh", format!("_{program}")),
            ("fish", format!("{program}.fish")),
        ] {
            let printed = said(Command::new(&native).args(["completions", shell]));
            let file = dist().join("completions").join(shell).join(file);
            assert_eq!(printed, fs::read_to_string(file).unwrap());
        }
        let script = "source \"$1\"; COMP_WORDS=(\"$2\" co); COMP_CWORD=1
            $(complete -p \"$2\" | sed -n 's/.*-F \\([^ ]*\\).*/\\1/p') \"$2\" co \"$2\"
            printf '%s ' \"${COMPREPLY[@]}\"";
        let file = dist().join("completions/bash").join(program);
        let completed = said(Command::new("bash").args(["-c", script, "-"]).arg(file).arg(program));
        assert_eq!(completed.trim(), "completions");
    }
}

#[test]
fn each_crate_of_an_sbom_has_its_licence() {
    let licences = fs::read_to_string(dist().join("LICENSES.md")).unwrap();
    for program in ["grape", "grape-operator"] {
        for arch in ARCHITECTURES {
            let path = dist().join(format!("sbom/{program}-{VERSION}-linux-{arch}.cdx.json"));
            let sbom: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            assert_eq!(sbom["bomFormat"], "CycloneDX");
            assert_eq!(sbom["metadata"]["component"]["name"], program);
            assert_eq!(sbom["metadata"]["component"]["version"], VERSION);
            let components = sbom["components"].as_array().unwrap();
            let names: Vec<_> =
                components.iter().map(|each| each["name"].as_str().unwrap()).collect();
            assert!(names.contains(&"tokio") && names.contains(&"libmimalloc-sys"), "{names:?}");
            assert_eq!(names.contains(&"ring"), program == "grape-operator", "{names:?}");
            for each in components {
                let (name, version) = (each["name"].as_str().unwrap(), &each["version"]);
                assert!(each["licenses"].is_array(), "{name} has no licence");
                if is_linked(each) {
                    let line = format!("\n- {name} {}", version.as_str().unwrap());
                    assert!(licences.contains(&line), "LICENSES.md has no{line}");
                }
            }
        }
    }
}

/// Whether a component is of somebody else, and in the binary: not of the workspace, not a macro.
fn is_linked(component: &Value) -> bool {
    component["purl"].as_str().is_some_and(|purl| !purl.contains("file://"))
        && component["scope"] == "required"
}

/// From a copy in another folder, whose files have other times. It takes the binaries that are there;
/// that these are the same wherever they are built is tested beside the images.
#[test]
fn another_checkout_gives_the_same_bytes() {
    let place = target().join("release-tests");
    let sources = place.join("sources");
    let _ = fs::remove_dir_all(&sources);
    fs::create_dir_all(&place).unwrap();
    // With its commit, which is in the images, and the time of that commit.
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--shared", "--no-checkout"]);
    said(clone.arg(super::project()).arg(&sources));
    copy_to(&sources);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["charts/grape-operator/values.yaml", "charts/grape-operator/Chart.yaml"] {
        fs::File::open(sources.join(name)).unwrap().set_modified(old).unwrap();
    }
    let out = place.join("dist-again");
    let mut command = build(&sources);
    command.args([VERSION, "--trial", "--out"]).arg(&out);
    said(command.arg("--binaries").arg(dist().join("bin")));
    let (here, there) = (files(dist()), files(&out));
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (name, content) in &here {
        assert!(there[name] == *content, "{name} differs");
    }
    figure::tell(&format!("the same bytes twice: {} files", here.len()));
}
