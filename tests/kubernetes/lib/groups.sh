# shellcheck shell=bash
# Control groups: whatever a cluster starts is in one of its own, and so is whatever that starts.
# That is how `down` finds it all, and nothing else, also when nobody wrote down what was started.

cgroups=/sys/fs/cgroup

# The folders in which a group is made: one a controller (version 1), or one for all (version 2).
hierarchies() {
  if [ -e "$cgroups/cgroup.controllers" ]; then
    printf '%s\n' "$cgroups"
    return
  fi
  local each
  for each in "$cgroups"/*; do
    if [ -d "$each" ] && [ ! -L "$each" ] && [ -e "$each/cgroup.procs" ]; then
      printf '%s\n' "$each"
    fi
  done
}

# The one by which processes are found. Of version 1 any does that all have; pids is such a one.
tracking() {
  if [ -e "$cgroups/cgroup.controllers" ]; then
    printf '%s\n' "$cgroups"
  else
    printf '%s\n' "$cgroups/pids"
  fi
}

make_groups() {
  local hierarchy group
  for hierarchy in $(hierarchies); do
    for group in "grape-$name" "grape-$name/machinery" "${nodes[@]/#/grape-$name/n}"; do
      mkdir -p "$hierarchy/$group"
      share_controllers "$hierarchy" "$group"
    done
  done
}

# A group can use what its parent hands down: the CPUs and memory nodes in version 1, the
# controllers in version 2.
share_controllers() {
  local path=$1/$2 file controller
  for file in cpuset.cpus cpuset.mems; do
    if [ -e "$1/cpuset.cpus" ] && [ -z "$(cat "$path/$file")" ]; then
      cat "$(dirname "$path")/$file" >"$path/$file"
    fi
  done
  if [ -e "$1/cgroup.controllers" ]; then
    # Each by itself: one that cannot be had would refuse them all.
    for controller in $(<"$(dirname "$path")/cgroup.controllers"); do
      echo "+$controller" >"$(dirname "$path")/cgroup.subtree_control" 2>/dev/null || true
    done
  fi
}

# The processes in all its groups.
group_members() {
  find "$(tracking)/grape-$name" -name cgroup.procs -exec cat {} + 2>/dev/null |
    grep -vx 0 | sort -u || true
}

# Kills all that is in its groups, and what they start meanwhile.
empty_groups() {
  local members
  for _ in $(seq 200); do
    members=$(group_members)
    [ -n "$members" ] || return 0
    # shellcheck disable=SC2086 # One word each.
    kill -KILL $members 2>/dev/null || true
    sleep 0.1
  done
  say "These did not end: $(tr '\n' ' ' <<<"$members")"
  return 1
}

remove_groups() {
  local hierarchy
  for hierarchy in $(hierarchies); do
    [ -d "$hierarchy/grape-$name" ] || continue
    # A group can be removed a moment after its last process, and its parent after it.
    for _ in $(seq 50); do
      find "$hierarchy/grape-$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
      [ -d "$hierarchy/grape-$name" ] || break
      sleep 0.1
    done
    if [ -d "$hierarchy/grape-$name" ]; then
      say "The group $hierarchy/grape-$name could not be removed."
      return 1
    fi
  done
}
