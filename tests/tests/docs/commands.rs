//! `docs/commands.md`: what `--help` says.

use std::path::Path;
use std::process::{Command, Stdio};

use grape_tests::{binaries, our_grape};

use super::compare;

const HEAD: &str = "\
# Commands

What `--help` of each command says. A test writes this page, and fails when it is stale.
";

const GRAPE: [&str; 12] = [
    "",
    "lookup",
    "announce",
    "withdraw",
    "put",
    "key new",
    "get",
    "watch",
    "gossip",
    "drain",
    "status",
    "completions",
];
const OPERATOR: [&str; 6] = ["", "run", "local", "crd", "check", "completions"];

/// The help without a terminal, so at the default width, and without variables.
fn help(binary: &Path, arguments: &str) -> String {
    let mut command = Command::new(binary);
    command.args(arguments.split_whitespace()).arg("--help").stdin(Stdio::null()).env_clear();
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success() && !text.is_empty(), "{arguments}: {output:?}");
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The subcommands that the help lists, but for `help`.
fn listed(help: &str) -> Vec<&str> {
    let listing = help.lines().skip_while(|line| {
        !line.starts_with("Commands:") && !line.starts_with("Ask a Grape that runs:")
    });
    let entries = listing.skip(1).take_while(|line| !line.is_empty());
    let names = entries.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect()
}

#[test]
fn the_page_has_the_help_of_every_command() {
    let mut page = HEAD.to_owned();
    let grape = our_grape::binary().unwrap();
    let operator = binaries::find("grape-operator", "GRAPE_OPERATOR_BIN").unwrap();
    for (name, binary, commands) in
        [("grape", grape, &GRAPE[..]), ("grape-operator", operator, &OPERATOR[..])]
    {
        let top = help(&binary, "");
        let first = |command: &&str| command.split(' ').next().unwrap().to_owned();
        let known: Vec<_> = commands[1..].iter().map(first).collect();
        assert_eq!(listed(&top), known, "{name}");
        for command in commands {
            let title = format!("{name} {command}");
            let text = help(&binary, command);
            page += &format!("\n## {}\n\n```text\n{}\n```\n", title.trim_end(), text.trim_end());
        }
    }
    compare("commands.md", &page);
}
