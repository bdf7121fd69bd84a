# shellcheck shell=bash
# Up and down. Both may be run again at any time, whatever was there before.

up() {
  [ "$(id -u)" -eq 0 ] || fail "a cluster with nodes needs root: sudo $0 up"
  "$scripts/tools/install"
  find_tools
  lock_cluster
  lap_started=$(date +%s%N)
  local node up_started=$SECONDS
  if ! is_whole && { [ -e "$place" ] || [ -n "$(group_members)" ]; }; then
    say "Half a cluster $name is there: taking it down first."
    take_down
  fi
  take_index
  say "Cluster $name, network $net.0.0/16"
  if ! is_whole; then
    make_groups
    make_machines
    connect_machines
  fi
  # One may have been cut off, by whoever used it last.
  for node in "${nodes[@]}"; do mend_node "$node"; done
  make_certificates
  system_images
  lap 'network and certificates'

  # Nodes' containerds start while the API server does.
  for node in "${nodes[@]}"; do
    prepare_node "$node"
    start_containerd "$node"
  done
  start_api_server
  lap 'API server'
  start_controllers
  for node in "${nodes[@]}"; do
    await_containerd "$node"
    if ! running "kubelet-n$node"; then
      import_image "$node" "$bin/images/pause.tar"
      import_image "$node" "$bin/images/coredns.tar"
    fi
    start_kubelet "$node"
  done
  sed "s/DNS_ADDRESS/$dns/" "$scripts/manifests/coredns.yaml" | k apply --filename - >/dev/null
  lap 'controllers, containerd, images'
  for node in "${nodes[@]}"; do await_node "$node"; done
  await_controllers
  lap 'nodes'
  await 'the DNS answers' kubelet-n1 60 \
    k -n kube-system wait daemonset/coredns --timeout 1s \
    --for "jsonpath={.status.numberReady}=${#nodes[@]}"
  lap 'DNS'
  say "Cluster $name is up, after $((SECONDS - up_started)) s. From here on:
  export KUBECONFIG=$kubeconfig"
}

# Whether its machines and their network are all there; components may be missing.
is_whole() {
  local machine
  read_index || return 1
  for machine in switch "${machines[@]}"; do running "$machine" || return 1; done
  is_connected
}

down() {
  [ "$(id -u)" -eq 0 ] || fail "sudo $0 down"
  lock_cluster
  if [ ! -e "$place" ] && [ ! -e "$(tracking)/grape-$name" ]; then
    say "There is no cluster $name."
    return
  fi
  take_down
  say "Cluster $name is down."
}

# Its mounts and networks are held by its processes alone, and end with them.
take_down() {
  empty_groups
  if read_index; then
    ip link delete "$(host_link)" 2>/dev/null || true
  fi
  remove_groups
  local mount
  while read -r mount; do
    umount --lazy "$mount"
  done < <(awk -v place="$place/" 'index($2, place) == 1 { print $2 }' /proc/self/mounts | sort -r)
  rm -rf --one-file-system "$place"
}
