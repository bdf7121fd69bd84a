# shellcheck shell=bash
# What the scripts here do with their arguments.

refuse() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

# The comment at the top of the script.
usage() {
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
}

# needs_value FLAG [VALUE]...
needs_value() {
  if [ "$#" -lt 2 ] || [ -z "$2" ]; then refuse "$1 has no value"; fi
}

# What `cargo test` tells of the package that it tests: crates whose build scripts read such variables
# (ring's) would be built anew in a test, and the operator with them.
forget_tested_package() {
  local told
  for told in "${!CARGO_PKG_@}" "${!CARGO_MANIFEST_@}"; do unset "$told"; done
}

# In the words of Go and of container images.
machine_architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) refuse "this machine is $(uname -m): it must be x86_64 or aarch64" ;;
  esac
}

# The name that Rust has for static binaries of an architecture.
rust_target() {
  case $1 in
    amd64) echo x86_64-unknown-linux-musl ;;
    arm64) echo aarch64-unknown-linux-musl ;;
    *) refuse "the architecture is $1: it must be amd64 or arm64" ;;
  esac
}
