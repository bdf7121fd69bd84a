//! What is in a release.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use grape_tests::figure;
use serde_json::Value;

use super::{Architecture, VERSION, architectures, binary, dist, files, native, project, said};

#[test]
fn every_file_is_there_with_its_checksum() {
    let mut expected: BTreeSet<String> = BTreeSet::new();
    for program in ["grape", "grape-operator"] {
        for Architecture { arch, .. } in architectures() {
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
        let expected: Vec<_> = architectures().into_iter().map(|each| each.arch).collect();
        assert_eq!(found, expected);
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

/// By its `e_machine`, and because no interpreter is asked for.
#[test]
fn binaries_are_static_and_of_their_architecture() {
    for program in ["grape", "grape-operator"] {
        for Architecture { arch, machine, .. } in architectures() {
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
            assert!(!has(project().to_str().unwrap()), "{program} for {arch} has this path");
        }
    }
}

#[test]
fn completions_work_and_are_what_the_command_prints() {
    for program in ["grape", "grape-operator"] {
        let native = binary(program, native());
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
        for Architecture { arch, target, .. } in architectures() {
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
            // What only tests ask for.
            let of_tests = ["criterion", "kube-cel", "flume"];
            assert!(!names.iter().any(|name| of_tests.contains(name)), "{names:?}");
            for each in components {
                assert!(each["licenses"].is_array(), "{} has no licence", each["name"]);
            }
            for (name, version) in compiled(program, target) {
                let is_it = |each: &&Value| each["name"] == *name && each["version"] == *version;
                assert!(components.iter().any(|each| is_it(&each)), "no {name} {version}");
                let line = format!("\n- {name} {version}");
                assert!(licences.contains(&line), "LICENSES.md has no{line}");
            }
        }
    }
}

/// The crates of others whose code is in a binary, with their versions: none that only runs while it is
/// compiled.
fn compiled(program: &str, target: &str) -> BTreeSet<(String, String)> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--locked", "--edges=normal,no-proc-macro", "--prefix=none"]);
    tree.args(["--format={p}", "--package", program, "--target", target]);
    let told = said(tree.current_dir(project()));
    // `tokio v1.2.3`; those of the workspace have their path behind it.
    let theirs = told.lines().filter(|line| !line.contains('/'));
    let crates: BTreeSet<_> = theirs
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap().to_owned()))
        .collect();
    assert!(crates.len() > 50, "{told}");
    crates
}
