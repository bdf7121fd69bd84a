# shellcheck shell=bash
# What it tells: progress on standard error, so that standard output is for what was asked.

say() { printf '%s\n' "$*" >&2; }

# Ends the command.
fail() {
  say "cluster: $*"
  exit 1
}

# A line with how long it took since the last one, or since `lap_started` was set.
lap() {
  local now
  now=$(date +%s%N)
  printf '  %5d ms  %s\n' "$(((now - ${lap_started:-$now}) / 1000000))" "$*" >&2
  lap_started=$now
}
