# shellcheck shell=bash
# The cluster's processes, each known by its id and the time it started at: an id alone may be
# somebody else's by now.

start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # After the name, which is in brackets and may hold anything.
  # shellcheck disable=SC2086 # Fields.
  set -- ${stat##*) }
  # A dead one that nobody has waited for is dead.
  [ "$1" != Z ] || return 1
  printf '%s' "${20}"
}

# Its id, if it runs.
pid_of() {
  local pid started
  read -r pid started 2>/dev/null <"$pids/$1" || return 1
  [ "$(start_time "$pid")" = "$started" ] || return 1
  printf '%s' "$pid"
}

running() { pid_of "$1" >/dev/null; }

# start COMPONENT COMMAND...: unless it runs. Its output is appended to its log.
start() {
  local component=$1 pid
  shift
  if running "$component"; then return; fi
  (
    exec </dev/null >>"$logs/$component" 2>&1
    pid=$BASHPID
    # The lock is held until it can be found, should we be killed meanwhile.
    echo "$pid" >"$(tracking)/grape-$name/machinery/cgroup.procs"
    printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$pids/.$component"
    mv "$pids/.$component" "$pids/$component"
    exec setsid "$@" 9>&-
  ) &
  # Until it is known, or has ended before it was.
  until running "$component" || ! start_time "$!" >/dev/null; do sleep 0.01; done
}

# start_in MACHINE COMPONENT COMMAND...
start_in() {
  local machine=$1 component=$2 pid
  shift 2
  pid=$(pid_of "$machine")
  start "$component" nsenter --target "$pid" --net --mount -- "$@"
}

# inside MACHINE COMMAND...: in the machine's network and with its mounts.
inside() {
  local pid
  pid=$(pid_of "$1") || fail "the machine $1 of the cluster $name is not there: \`cluster up\`"
  shift
  nsenter --target "$pid" --net --mount -- "$@"
}

# await WHAT COMPONENT SECONDS COMMAND...: until the command succeeds. When it does not, or the
# component ends before, tells which, with the last lines of its log.
await() {
  local what=$1 component=$2 seconds=$3 end
  shift 3
  end=$((SECONDS + seconds))
  until "$@" >"$place/.awaited" 2>&1; do
    if ! running "$component"; then
      say "$component has ended, while waiting until $what."
    elif [ "$SECONDS" -ge "$end" ]; then
      say "Not within $seconds s: $what. The last answer:"
      tail -n 5 "$place/.awaited" >&2
    else
      sleep 0.1
      continue
    fi
    say "--- the last lines of $logs/$component"
    tail -n 20 "$logs/$component" >&2
    fail "$component failed"
  done
}
