//! What a cluster has on this machine: all of it must be gone when it is down.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// What a running cluster has that does not bear its name.
#[derive(Debug, Default)]
pub(crate) struct Unnamed {
    /// Held open, lest the kernel give a namespace's number to a pod of another cluster meanwhile.
    networks: BTreeMap<PathBuf, File>,
    link: Option<String>,
}

/// The folder of a cluster.
pub(crate) fn place(name: &str) -> PathBuf {
    Path::new("/var/lib/grape-tests/clusters").join(name)
}

/// Its network namespaces, as far as they are up, and its link on this machine.
pub(crate) fn unnamed(name: &str) -> Unnamed {
    let mut found = Unnamed::default();
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    for record in entries(&place(name).join("pids")) {
        let text = fs::read_to_string(record).unwrap_or_default();
        let pid = text.split_whitespace().next().unwrap_or_default();
        let namespace = PathBuf::from(format!("/proc/{pid}/ns/net"));
        if let Ok(held) = File::open(&namespace)
            && let Ok(network) = fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd()))
            && network != own
        {
            found.networks.insert(network, held);
        }
    }
    let index = fs::read_to_string(place(name).join("index")).ok();
    found.link = index.map(|index| format!("grape{}", index.trim()));
    found
}

/// Everything of a cluster that is still there.
pub(crate) fn left(name: &str, unnamed: &Unnamed) -> Vec<String> {
    let folder = place(name);
    let mut left = Vec::new();
    if folder.exists() {
        left.push(format!("the folder {}", folder.display()));
    }
    let groups = entries(Path::new("/sys/fs/cgroup"))
        .into_iter()
        .chain([PathBuf::from("/sys/fs/cgroup")])
        .map(|hierarchy| hierarchy.join(format!("grape-{name}")));
    left.extend(
        groups.filter(|group| group.exists()).map(|g| format!("the group {}", g.display())),
    );
    if let Some(link) = &unnamed.link
        && Path::new("/sys/class/net").join(link).exists()
    {
        left.push(format!("the link {link}"));
    }
    let own = format!("{}/", folder.display());
    for process in entries(Path::new("/proc")) {
        if fs::read(process.join("cmdline")).is_ok_and(|line| contains(&line, &own)) {
            left.push(format!("the process {}", process.display()));
        }
        if fs::read(process.join("mountinfo")).is_ok_and(|mounts| contains(&mounts, &own)) {
            left.push(format!("mounts of {}", process.display()));
        }
        if fs::read_link(process.join("ns/net"))
            .is_ok_and(|net| unnamed.networks.contains_key(&net))
        {
            left.push(format!("the network of {}", process.display()));
        }
    }
    left
}

fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}
