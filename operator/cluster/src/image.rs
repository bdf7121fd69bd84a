//! Which image a Grape runs, and when nodes fetch it.

use crate::pods::PullPolicy;
use crate::{ImageSpec, limits, pattern};

/// The image of a cluster, as `REPOSITORY[:TAG][@DIGEST]`. What the spec leaves out is as in
/// `default`: the repository; and the version, that is the tag and the digest together.
pub fn resolve(spec: &ImageSpec, default: &str) -> String {
    let (default_repository, default_version) = split(default);
    let repository = spec.repository.as_deref().unwrap_or(default_repository);
    match (&spec.digest, &spec.tag) {
        // A tag beside a digest means nothing to a node.
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        // A mirror, as a rule, whose images have the digests of their originals.
        (None, None) => format!("{repository}{default_version}"),
    }
}

/// When nodes fetch `image`. The API server has the same rule, and applies it once: what it filled
/// in for one image stays for the next.
pub fn pull_policy(spec: &ImageSpec, image: &str) -> &'static str {
    let (_, version) = split(image);
    match spec.pull_policy {
        Some(PullPolicy::Always) => "Always",
        Some(PullPolicy::IfNotPresent) => "IfNotPresent",
        Some(PullPolicy::Never) => "Never",
        None if version.is_empty() || version == ":latest" => "Always",
        None => "IfNotPresent",
    }
}

/// Whether `image` is `REPOSITORY[:TAG][@DIGEST]`.
pub fn is_one(image: &str) -> bool {
    let alike =
        |text: &str, shape, most: usize| text.len() <= most && pattern::is_like(text, shape);
    let (repository, version) = split(image);
    let (tag, digest) = match version.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None => (version, None),
    };
    alike(repository, limits::REPOSITORY_PATTERN, limits::REPOSITORY_LENGTH)
        && (tag.is_empty()
            || tag
                .strip_prefix(':')
                .is_some_and(|tag| alike(tag, limits::TAG_PATTERN, limits::TAG_LENGTH)))
        && digest.is_none_or(|digest| alike(digest, limits::DIGEST_PATTERN, limits::DIGEST_LENGTH))
}

/// Whether an image seems to be `original` in another place, as in a mirror: of the same digest, or
/// of the same name and version in any registry.
pub fn is_copy(image: &str, original: &str) -> bool {
    let parts = |image| {
        let (repository, version) = split(image);
        (repository.rsplit('/').next().unwrap_or_default(), version)
    };
    let digest = |image: &str| image.split_once('@').map(|(_, digest)| digest.to_owned());
    parts(image) == parts(original)
        || digest(image).is_some_and(|own| digest(original) == Some(own))
}

/// A repository, and what follows it: `:TAG`, `@DIGEST`, both or nothing.
fn split(image: &str) -> (&str, &str) {
    let name = image.find('@').map_or(image, |at| &image[..at]);
    // A host may have a port.
    let path = name.rfind('/').map_or(0, |slash| slash + 1);
    let end = name[path..].find(':').map_or(name.len(), |colon| path + colon);
    image.split_at(end)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn image(repository: Option<&str>, tag: Option<&str>, digest: Option<&str>) -> ImageSpec {
        let text = |part: Option<&str>| part.map(str::to_owned);
        ImageSpec {
            repository: text(repository),
            tag: text(tag),
            digest: text(digest),
            ..ImageSpec::default()
        }
    }

    #[rstest]
    #[case::nothing(image(None, None, None), "grenache/grape:0.1.0", "grenache/grape:0.1.0")]
    #[case::repository(image(Some("a/b"), None, None), "grenache/grape:0.1.0", "a/b:0.1.0")]
    #[case::tag(image(None, Some("2"), None), "grenache/grape:0.1.0", "grenache/grape:2")]
    #[case::both(image(Some("a/b"), Some("2"), None), "grenache/grape:0.1.0", "a/b:2")]
    #[case::host_with_port(image(None, Some("2"), None), "a.b:5000/grape", "a.b:5000/grape:2")]
    #[case::default_bare(image(Some("a/b"), None, None), "a.b:5000/grape", "a/b")]
    fn what_is_left_out_is_the_operators(
        #[case] spec: ImageSpec,
        #[case] default: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(resolve(&spec, default), expected);
    }

    #[test]
    fn a_digest_goes_before_a_tag() {
        let spec = image(None, Some("2"), Some(DIGEST));
        let expected = format!("grenache/grape@{DIGEST}");
        assert_eq!(resolve(&spec, "grenache/grape:0.1.0"), expected);
        assert_eq!(resolve(&spec, "grenache/grape:0.1.0@sha256:ab"), expected);
    }

    #[test]
    fn the_operators_digest_holds_until_a_version_is_named() {
        let default = format!("a.b:5000/grape:0.1.0@{DIGEST}");
        assert_eq!(resolve(&image(None, None, None), &default), default);
        let mirror = image(Some("mirror/grape"), None, None);
        assert_eq!(resolve(&mirror, &default), format!("mirror/grape:0.1.0@{DIGEST}"));
        assert_eq!(resolve(&image(None, Some("2"), None), &default), "a.b:5000/grape:2");
    }

    #[rstest]
    #[case("grape", true)]
    #[case("images.example:5000/team/grape:0.1.0", true)]
    #[case("grape:", false)]
    #[case("grape:a b", false)]
    #[case("/grape", false)]
    #[case("grape@", false)]
    #[case("grape@sha256:12", false)]
    #[case("", false)]
    fn an_image_is_distinguished_from_other_text(#[case] image: &str, #[case] expected: bool) {
        assert_eq!(is_one(image), expected);
        let with_digest = format!("{image}@{DIGEST}");
        assert_eq!(is_one(&with_digest), expected, "{with_digest}");
    }

    #[rstest]
    #[case("grenache/grape:1", "grenache/grape:1", true)]
    #[case("mirror.corp:5000/hub/grenache/grape:1", "grenache/grape:1", true)]
    #[case("mirror.corp:5000/hub/grenache/grape:2", "grenache/grape:1", false)]
    #[case("mirror.corp:5000/hub/other:1", "grenache/grape:1", false)]
    #[case("mirror.corp/other@sha256:ab", "grenache/grape:1@sha256:ab", true)]
    #[case("grenache/grape:1@sha256:cd", "grenache/grape:1@sha256:ab", false)]
    #[case("grenache/grape", "grenache/grape:1", false)]
    fn a_copy_is_known_by_its_version(
        #[case] image: &str,
        #[case] original: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(is_copy(image, original), expected);
    }

    #[rstest]
    #[case("grape:0.1.0", None, "IfNotPresent")]
    #[case("grape:latest", None, "Always")]
    #[case("a.b:5000/grape", None, "Always")]
    #[case("grape@sha256:ab", None, "IfNotPresent")]
    #[case("grape:latest", Some(PullPolicy::Never), "Never")]
    #[case("grape:0.1.0", Some(PullPolicy::Always), "Always")]
    fn only_tags_that_may_move_are_pulled_again(
        #[case] resolved: &str,
        #[case] pull_policy: Option<PullPolicy>,
        #[case] expected: &str,
    ) {
        let spec = ImageSpec { pull_policy, ..ImageSpec::default() };
        assert_eq!(super::pull_policy(&spec, resolved), expected);
    }
}
