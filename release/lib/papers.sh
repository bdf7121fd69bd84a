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
  local cyclonedx binary folder arch name alone
  cyclonedx=$("$release/tools/cargo-tool" cargo-cyclonedx)
  for binary in grape grape-operator; do
    case $binary in
      grape) folder=sidecar ;;
      grape-operator) folder=operator ;;
    esac
    alone=$work/$binary
    copy_package "$folder" "$alone"
    for arch in "${architectures[@]}"; do
      name=$binary-$version-linux-$arch
      "$cyclonedx" cyclonedx --quiet --manifest-path "$alone/$folder/Cargo.toml" --format json \
        --spec-version 1.5 --target "$(rust_target "$arch")" --override-filename "$name.cdx" >&2
      # The folder of this machine is in the names of the project's own crates.
      sed "s|$alone|/grape|g" "$alone/$folder/$name.cdx.json" >"$dist/sbom/$name.cdx.json"
    done
  done
}

# copy_package PACKAGE FOLDER: the sources, as if nothing were built but this package, and nothing tested.
# Else its SBOM would have crates that only tests and other packages ask for.
copy_package() {
  cp -a "$sources" "$2"
  sed -i -e "s|^members = .*|members = [\"$1\"]|" -e '/^default-members = /d' "$2/Cargo.toml"
  find "$2" -name Cargo.toml -exec \
    sed -i '/^\[dev-dependencies\]/,/^\[/{/^\[dev-dependencies\]/d;/^\[/!d}' {} +
}

write_pages() {
  say 'Writing completions and manual pages'
  # With the features that the whole workspace has: so the tests have built most of it.
  cargo build --manifest-path "$project/Cargo.toml" --quiet --locked --workspace --bin grape-pages >&2
  "$CARGO_TARGET_DIR/debug/grape-pages" "$dist/completions" "$dist/man"
}

write_licences() {
  say 'Collecting the licences'
  local about given kept
  about=$("$release/tools/cargo-tool" cargo-about)
  # It reads all files of all crates, for minutes: so what it wrote is kept.
  given=$(cd "$sources" && find . \( -name 'Cargo.*' -o -name 'about.*' \) -exec sha256sum {} + |
    LC_ALL=C sort -k 2 | sha256sum | cut -c 1-16)
  kept=$CARGO_TARGET_DIR/tools/licences-$given.md
  if [ ! -e "$kept" ]; then
    "$about" generate --locked --manifest-path "$sources/operator/Cargo.toml" \
      --config "$sources/release/licences/about.toml" --output-file "$work/licences.md" --fail \
      "$sources/release/licences/about.hbs" >&2
    rm -f "$CARGO_TARGET_DIR/tools/licences-"*
    mv "$work/licences.md" "$kept"
  fi
  cp "$kept" "$dist/LICENSES.md"
  # Every binary has Rust's standard library, and its C library with it.
  cp "$(rustc --print sysroot)/share/doc/rust/COPYRIGHT-library.html" "$dist/LICENSES-std.html"
}
