# shellcheck shell=bash
# shellcheck disable=SC2154 # Its variables are those of `build`.
# The places that name the version. $project is the folder of the sources.

version_of_cargo() {
  sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$project/Cargo.toml"
}

# of_chart version|appVersion
version_of_chart() {
  sed -n "s/^$1: *\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$project/charts/grape-operator/Chart.yaml"
}

# The titles of the changelog's sections, without their dates.
changelog_sections() {
  sed -n 's/^## \[\{0,1\}\([^] ]*\).*/\1/p' "$project/CHANGELOG.md"
}

# changelog_section TITLE: what it says.
changelog_section() {
  awk -v title="$1" '
    /^## / { word = $2; gsub(/[][]/, "", word); inside = (word == title); next }
    inside && (begun || NF) { begun = 1; lines = lines $0 "\n"; if (NF) { printf "%s", lines; lines = "" } }
  ' "$project/CHANGELOG.md"
}

# check_version VERSION [UNRELEASED]: says which places differ. With UNRELEASED, the changelog may
# have the changes under "Unreleased".
check_version() {
  local version=$1 differ=() found sections
  found=$(version_of_cargo)
  if [ "$found" != "$version" ]; then differ+=("Cargo.toml: version is $found"); fi
  local key
  for key in version appVersion; do
    found=$(version_of_chart "$key")
    if [ "$found" != "$version" ]; then
      differ+=("charts/grape-operator/Chart.yaml: $key is $found")
    fi
  done
  sections=$(changelog_sections)
  if ! grep -Fqx -e "$version" ${2:+-e Unreleased} <<<"$sections"; then
    differ+=("CHANGELOG.md: no section \"## $version\"; it has ${sections//$'\n'/, }")
  fi
  if [ "${#differ[@]}" -gt 0 ]; then
    printf 'build: VERSION is %s, and this differs:\n' "$version" >&2
    printf '  %s\n' "${differ[@]}" >&2
    printf 'Change these files, or give the VERSION that they have.\n' >&2
    exit 2
  fi
}
