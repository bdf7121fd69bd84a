# shellcheck shell=bash
# shellcheck disable=SC2154 # Its variables are those of `build`.
# What a release has beside programs: the chart, and what there is to read. $dist is where it goes,
# $sources a copy of the sources with one time, $work a folder for drafts.

package_chart() {
  say 'Packaging the chart'
  local helm chart=$sources/charts/grape-operator
  helm=$("$release/tools/build")/helm
  # Of what the project writes once, in other files.
  {
    printf '  artifacthub.io/images: |\n'
    printf '    - name: %s\n      image: %s:%s\n' \
      grape-operator "$(default_repository image)" "$version" \
      grape "$(default_repository grapeImage)" "$version"
    printf '  artifacthub.io/changes: |\n'
    awk -f "$release/lib/changes.awk" "$dist/CHANGES.md" | sed 's/^/    /'
  } >>"$chart/Chart.yaml"
  touch --date "@$SOURCE_DATE_EPOCH" "$chart/Chart.yaml"
  "$helm" package "$chart" --destination "$dist/charts" >/dev/null
}

# default_repository image|grapeImage: as values.yaml has it.
default_repository() {
  sed -n "/^$1:/,/^[^ ]/s/^  repository: *//p" "$sources/charts/grape-operator/values.yaml"
}

write_changes() {
  local section=$version
  if ! changelog_sections | grep -Fqx "$version"; then section=Unreleased; fi
  changelog_section "$section" >"$dist/CHANGES.md"
}

# One for each binary: which crates it has depends on the architecture.
write_sboms() {
  say 'Writing the SBOMs'
  local cyclonedx binary folder arch name
  cyclonedx=$("$release/tools/cargo-tool" cargo-cyclonedx)
  for binary in grape grape-operator; do
    case $binary in
      grape) folder=sidecar ;;
      grape-operator) folder=operator ;;
    esac
    for arch in "${architectures[@]}"; do
      name=$binary-$version-linux-$arch
      "$cyclonedx" cyclonedx --quiet --manifest-path "$sources/$folder/Cargo.toml" --format json \
        --spec-version 1.5 --target "$(rust_target "$arch")" --override-filename "$name.cdx" >&2
      # The folder of this machine is in the names of the project's own crates.
      sed "s|$sources|/grape|g" "$sources/$folder/$name.cdx.json" >"$dist/sbom/$name.cdx.json"
    done
  done
}

write_pages() {
  say 'Writing completions and manual pages'
  # With the features that the whole workspace has: so the tests have built most of it.
  cargo build --manifest-path "$project/Cargo.toml" --quiet --locked --workspace --bin grape-pages >&2
  "$CARGO_TARGET_DIR/debug/grape-pages" "$dist/completions" "$dist/man"
}

write_licences() {
  say 'Collecting the licences'
  local about
  about=$("$release/tools/cargo-tool" cargo-about)
  "$about" generate --locked --manifest-path "$sources/operator/Cargo.toml" \
    --config "$release/licences/about.toml" --output-file "$dist/LICENSES.md" --fail \
    "$release/licences/about.hbs" >&2
  # Every binary has Rust's standard library, and its C library with it.
  cp "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" "$dist/LICENSES-std.html"
}
