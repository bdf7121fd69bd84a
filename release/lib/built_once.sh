# shellcheck shell=bash
# Programs that are built once, into the user's cache folder, by a checksum of their sources. Several
# processes may ask for them at the same time: one builds, the others wait.

say() { printf '%s\n' "$*" >&2; }

require_go() {
  if go version >&2; then return; fi
  say 'Go is missing. Install version 1.21 or later (it fetches the one that is needed itself):'
  # shellcheck disable=SC2016 # It is the reader's to run.
  say '  curl -sSfL https://go.dev/dl/go1.26.8.linux-amd64.tar.gz | tar -C /usr/local -xz && export PATH=$PATH:/usr/local/go/bin'
  exit 1
}

# checksum_of_go FOLDER...: of all that the programs there are built from.
checksum_of_go() {
  local folder
  for folder in "$@"; do
    (cd "$folder" && find . \( -name '*.go' -o -name 'go.*' \) -print0 | sort -z | xargs -0 sha256sum)
  done | sha256sum | cut -c 1-16
}

# built_once WHAT CACHE CHECKSUM BUILD PROGRAM...
#
# Prints the folder CACHE/CHECKSUM. If it is missing, the function BUILD fills a draft of it, whose
# path is its argument, with the PROGRAMs. WHAT is for people.
built_once() {
  local what=$1 cache=$2 checksum=$3 build=$4
  shift 4
  local done=$cache/$checksum
  if [ -d "$done" ]; then
    # Whoever clears the folder sees that it is in use.
    touch "$done"
    printf '%s\n' "$done"
    return
  fi
  mkdir -p "$cache"
  exec 8>"$cache/.lock"
  if ! flock --nonblock 8; then
    say "Another process builds the $what: waiting for it."
    flock 8
  fi
  if [ -d "$done" ]; then
    printf '%s\n' "$done"
    return
  fi

  # What a build that was killed left behind. We hold the lock, so nobody is at work there.
  rm -rf "$cache"/.draft-*
  local started=$SECONDS ticks=0 program
  draft=$(mktemp -d "$cache/.draft-XXXXXX")
  trap 'rm -rf "$draft"' EXIT
  say "Building the $what into $done, once."
  "$build" "$draft" >"$draft/.log" 2>&1 8>&- &
  builder=$!
  trap 'kill "$builder" 2>/dev/null || true; rm -rf "$draft"' EXIT
  while kill -0 "$builder" 2>/dev/null; do
    sleep 1
    ticks=$((ticks + 1))
    if [ $((ticks % 30)) -eq 0 ]; then
      say "  still building the $what: $((SECONDS - started)) s"
    fi
  done
  if ! wait "$builder"; then
    say "The build of the $what failed:"
    grep -v '^go: downloading' "$draft/.log" | tail -n 20 >&2
    exit 1
  fi

  rm "$draft/.log"
  for program in "$@"; do
    if [ ! -x "$draft/$program" ]; then
      say "The build made no $program."
      exit 1
    fi
  done
  mv "$draft" "$done"
  # The builder has ended, and its number may be another process's by the end of the script.
  trap - EXIT
  # Those of other checksums are large; who has not been asked for in two weeks goes.
  find "$cache" -mindepth 1 -maxdepth 1 -type d -not -name "$checksum" -mtime +14 -exec rm -rf {} +
  say "Built the $what in $((SECONDS - started)) s ($(du -sh "$done" | cut -f 1))."
  printf '%s\n' "$done"
}

# require_package PACKAGE...: of Debian. Root installs them; others read how.
require_package() {
  local line="apt-get install -y --no-install-recommends $*" log
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "$* is missing. Install it:"
    say "  sudo $line"
    exit 1
  fi
  say "Installing $*."
  log=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  # The lists of packages may be there, or old, or missing.
  if ! $line >"$log" 2>&1 && ! { apt-get update && $line; } >"$log" 2>&1; then
    say "This failed:"
    say "  $line"
    tail -n 20 "$log" >&2
    exit 1
  fi
  rm -f "$log"
}
