# shellcheck shell=bash
# The machines, which are network namespaces: a switch, the control plane, two nodes. Each is held
# by a process of its own, and goes with it; nothing of it is mounted or named anywhere.

machines=(cp "${nodes[@]/#/n}")

# On the host, to reach the cluster from there.
host_link() { printf 'grape%s' "$index"; }

make_machines() {
  local machine
  start switch unshare --net sleep infinity
  for machine in "${machines[@]}"; do
    start "$machine" unshare --net --mount sleep infinity
  done
  # Until a holder has its own namespace, what is made "inside" it would be made on the host.
  for machine in switch "${machines[@]}"; do
    await "$machine has a network of its own" "$machine" 10 has_own_network "$machine"
  done
}

has_own_network() {
  local pid
  pid=$(pid_of "$1") &&
    [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] &&
    [ "$(cat "/proc/$pid/comm")" = sleep ]
}

connect_machines() {
  local switch machine pid node
  switch=$(pid_of switch)
  on_switch link add br0 type bridge
  on_switch addr add "$gateway/24" dev br0
  on_switch link set br0 up
  for machine in "${machines[@]}"; do
    pid=$(pid_of "$machine")
    ip link add "$(host_link)x" netns "$switch" type veth peer name eth0 netns "$pid"
    on_switch link set "$(host_link)x" name "$machine" master br0 up
    inside "$machine" ip link set lo up
    inside "$machine" ip addr add "$(machine_address "$machine")/24" dev eth0
    inside "$machine" ip link set eth0 up
    inside "$machine" ip route add default via "$gateway"
    inside "$machine" sysctl -qw net.ipv4.ip_forward=1
  done
  ip link add "$(host_link)" type veth peer name host netns "$switch"
  on_switch link set host master br0 up
  ip addr add "$host_address/24" dev "$(host_link)"
  ip link set "$(host_link)" up
  for node in "${nodes[@]}"; do
    ip route add "$(pod_network "$node")" via "$(machine_address "n$node")"
    for machine in "${machines[@]}"; do
      if [ "$machine" != "n$node" ]; then
        inside "$machine" ip route add "$(pod_network "$node")" via "$(machine_address "n$node")"
      fi
    done
  done
  route_services 1
}

# The host and the control plane (its webhooks) reach services by way of a node.
route_services() {
  ip route replace "$services" via "$(machine_address "n$1")"
  inside cp ip route replace "$services" via "$(machine_address "n$1")"
}

is_connected() {
  ip link show "$(host_link)" >/dev/null 2>&1 && [[ $(ip route show "$services") == *via* ]]
}

# The switch has a network of its own, but no mounts.
on_switch() { nsenter --target "$(pid_of switch)" --net -- ip "$@"; }

cut_node() {
  local other
  for other in "${nodes[@]}"; do
    if [ "$other" != "$1" ]; then route_services "$other"; fi
  done
  on_switch link set "n$1" down
}

mend_node() { on_switch link set "n$1" up; }

# The control plane reaches no pod, as where API servers are in a network of their own: what it sends
# to a pod is dropped, also what goes through a Service. It still reaches the nodes.
part_from_pods() {
  local node
  for node in "${nodes[@]}"; do
    pods_rule "$node" --check 2>/dev/null || pods_rule "$node" --insert
  done
}

join_with_pods() {
  local node
  for node in "${nodes[@]}"; do
    while pods_rule "$node" --delete 2>/dev/null; do :; done
  done
}

# pods_rule N COMMAND: the rule on node N, by which none of its packets gets to a pod of any node.
pods_rule() {
  local networks='' node
  for node in "${nodes[@]}"; do networks+=${networks:+,}$(pod_network "$node"); done
  # Of connections that it begins: what it answers to pods comes back.
  inside "n$1" iptables --wait "$2" FORWARD --source "$(machine_address cp)" \
    --destination "$networks" --match conntrack --ctdir ORIGINAL --jump DROP
}
