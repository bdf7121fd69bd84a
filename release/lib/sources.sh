# shellcheck shell=bash
# shellcheck disable=SC2154 # Its variables are those of `build`.
# What a release says of its sources, and a copy of them. $project is their folder.

# The commit whose files these are, or nothing.
commit() {
  if [ -e "$project/.git" ]; then git -C "$project" rev-parse --verify HEAD 2>/dev/null || true; fi
}

# The seconds of 1970 to that commit: the one time in a release.
commit_time() {
  if [ -n "$(commit)" ]; then git -C "$project" log -1 --format=%ct; else echo 0; fi
}

# Which files are not as in the commit, at most ten.
changes() {
  git -C "$project" status --porcelain | head -n 10
}

# copy_sources FOLDER: with one time and no marks of this machine, for programs that take over
# modification times, or write beside what they read.
copy_sources() {
  local epoch
  epoch=$(commit_time)
  mkdir -p "$1"
  (
    cd "$project" || exit
    if [ -e .git ]; then
      git ls-files -z --cached --others --exclude-standard
    else
      find . \( -name target -o -name node_modules -o -name dist \) -prune -o -type f -print0
    fi
  ) | tar --create --directory "$project" --null --files-from - --ignore-failed-read 2>/dev/null |
    tar --extract --directory "$1" --no-same-owner --no-same-permissions
  find "$1" -exec touch --no-dereference --date "@$epoch" {} +
}
