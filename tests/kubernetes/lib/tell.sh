# shellcheck shell=bash
# What a running cluster tells.

components() {
  local machine
  printf '%s\n' switch "${machines[@]}" etcd apiserver controller-manager scheduler
  for machine in "${nodes[@]/#/n}"; do
    printf '%s\n' "containerd-$machine" "kubelet-$machine" "proxy-$machine"
  done
  # Who wants one starts it.
  if [ -e "$pids/registry" ]; then printf 'registry\n'; fi
}

# Succeeds when all of it runs.
status() {
  local component pid down=0
  if ! read_index; then
    printf 'There is no cluster %s.\n' "$name"
    return 1
  fi
  printf '%-20s %-8s %s\n' COMPONENT PID STATE
  for component in $(components); do
    if pid=$(pid_of "$component"); then
      printf '%-20s %-8s %s\n' "$component" "$pid" running
    else
      printf '%-20s %-8s %s\n' "$component" - 'not running'
      down=$((down + 1))
    fi
  done
  if running apiserver; then
    find_tools
    printf '\n'
    k get nodes --label-columns topology.kubernetes.io/zone || down=$((down + 1))
  fi
  [ "$down" -eq 0 ]
}

show_log() {
  local component=${1:-}
  if [ -z "$component" ] || [ ! -e "$logs/$component" ]; then
    fail "which component's log? One of: $(components | tr '\n' ' ')"
  fi
  shift
  tail -n +1 "$@" "$logs/$component"
}
