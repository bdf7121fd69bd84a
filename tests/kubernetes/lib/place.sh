# shellcheck shell=bash
# shellcheck disable=SC2034 # The names set here are for the other files.
# Where a cluster lies: its folder, its index, and the addresses that come of it.

home=${GRAPE_CLUSTERS:-/var/lib/grape-tests/clusters}
nodes=(1 2)

# Only names: nothing is made.
name_cluster() {
  name=$1
  [[ $name =~ ^[a-z][a-z0-9-]{0,19}$ ]] ||
    fail "a cluster's name is up to 20 of a-z, 0-9 and -, beginning with a letter; not \"$name\""
  place=$home/$name
  logs=$place/logs
  pids=$place/pids
  pki=$place/pki
  kubeconfig=$pki/admin.kubeconfig
}

# One command at a time works on a cluster; the lock ends with the process, however it ends.
lock_cluster() {
  mkdir -p "$home/.locks"
  exec 9>"$home/.locks/$name"
  if ! flock --nonblock 9; then
    say "Another command is at work on the cluster $name: waiting for it."
    flock --timeout 600 9 || fail "the cluster $name was locked for ten minutes"
  fi
}

# Takes an index that no other cluster has, and whose network nobody routes. It is told before
# anything is made, so that `down` knows what there may be.
take_index() {
  mkdir -p "$logs" "$pids" "$pki"
  if [ ! -s "$place/index" ]; then
    (
      exec 7>"$home/.locks/.index"
      flock 7
      # No pipes to grep -q: it ends at the first match, and what wrote into the pipe then fails.
      routes=$(ip -4 route show table all)
      for index in $(seq 0 63); do
        if grep -qsx "$index" "$home"/*/index; then continue; fi
        if [[ $routes == *"10.$((150 + index))."* ]]; then continue; fi
        printf '%s\n' "$index" >"$place/index"
        exit
      done
      fail "none of the networks 10.150.0.0/16 to 10.213.0.0/16 is free"
    )
  fi
  read_index
}

# A cluster has 10.X.0.0/16: machines in 10.X.0.0/24, pods of node n in 10.X.n.0/24, services in
# the upper half.
read_index() {
  index=$(cat "$place/index" 2>/dev/null) || return 1
  net=10.$((150 + index))
  gateway=$net.0.1
  api=$net.0.10
  host_address=$net.0.254
  services=$net.128.0/17
  first_service=$net.128.1
  dns=$net.128.10
}

machine_address() {
  case $1 in
    cp) printf '%s' "$api" ;;
    n*) printf '%s' "$net.0.$((10 + ${1#n}))" ;;
  esac
}

pod_network() { printf '%s' "$net.$1.0/24"; }
