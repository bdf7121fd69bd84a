//! Every link of a page has a target.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The repository's own pages, by their paths from its root.
fn pages() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = BTreeMap::new();
    for folder in
        ["", "docs", "docs/decisions", "docs/runbooks", "charts/grape-operator", "examples"]
    {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "md") {
                let name = Path::new(folder).join(path.file_name().unwrap());
                pages.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    pages
}

/// What the links of a page lead to, code left out.
fn links(page: &str) -> Vec<&str> {
    let prose = page.split("```").step_by(2);
    let targets = prose.flat_map(|text| text.split("](").skip(1));
    targets.filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

/// The anchors of a page's headings, as they are made on GitHub.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop(), "{path:?} leaves the repository"),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_link_has_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = pages();
    let (mut wrong, mut followed) = (Vec::new(), 0);
    for (name, page) in &pages {
        for link in links(page).into_iter().filter(|link| !link.starts_with("http")) {
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => name.clone(),
                path => plain(&name.parent().unwrap().join(path)),
            };
            let known = pages.get(&target);
            let is_there = known.is_some() || root.join(&target).exists();
            let has_anchor = known.is_none_or(|page| anchors(page).contains(anchor));
            if !is_there || !anchor.is_empty() && !has_anchor {
                wrong.push(format!("{}: {link}", name.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(followed > 50, "only {followed} links in {} pages", pages.len());
}

/// Each page is linked from the front page, directly or not.
#[test]
fn every_page_of_the_docs_is_linked_from_the_readme() {
    let pages = pages();
    let front = links(&pages[Path::new("README.md")]);
    let linked: BTreeSet<_> = front.iter().map(|link| link.split('#').next().unwrap()).collect();
    let is_missing = |page: &&PathBuf| {
        page.parent() == Some(Path::new("docs")) && !linked.contains(page.to_str().unwrap())
    };
    let missing: Vec<_> = pages.keys().filter(is_missing).collect();
    assert!(missing.is_empty(), "README.md does not link {missing:?}");
}

/// Each page of a folder is linked from the folder's index.
#[test]
fn every_index_links_all_pages_of_its_folder() {
    let pages = pages();
    for folder in ["docs", "docs/decisions", "docs/runbooks"] {
        let index = Path::new(folder).join("README.md");
        let linked: BTreeSet<_> =
            links(&pages[&index]).into_iter().map(|link| link.split('#').next().unwrap()).collect();
        let missing: Vec<_> = pages
            .keys()
            .filter(|page| page.parent() == Some(Path::new(folder)) && **page != index)
            .filter(|page| !linked.contains(page.file_name().unwrap().to_str().unwrap()))
            .collect();
        assert!(missing.is_empty(), "{} does not link {missing:?}", index.display());
    }
}
