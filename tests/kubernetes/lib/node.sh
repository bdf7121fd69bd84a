# shellcheck shell=bash
# A node: containerd, kubelet and kube-proxy on a machine nN, in the zone zone-N.

# ctr_on N ARGUMENTS...
ctr_on() {
  local socket=$place/n$1/containerd.sock
  shift
  ctr --address "$socket" --namespace k8s.io "$@"
}

prepare_node() {
  local folder=$place/n$1
  mkdir -p "$folder"/{cni,kubelet,manifests,logs,containerd} "$folder/registries/$(registry_address)"
  cni_configuration "$1" >"$folder/cni/10-bridge.conflist"
  containerd_configuration "$1" >"$folder/containerd.toml"
  registry_hosts >"$folder/registries/$(registry_address)/hosts.toml"
  kubelet_configuration "$1" >"$folder/kubelet.yaml"
  # Pods ask the cluster's DNS alone: nothing of the host's.
  : >"$folder/resolv.conf"
  # Other than a host's, a machine's mounts are its own: pods' logs, and CNI's namespaces.
  # shellcheck disable=SC2016 # It is the inner shell's.
  inside "n$1" bash -c '
    mountpoint -q /var/log || mount --bind "$0/logs" /var/log
    mkdir -p /run/netns
    [ -e /run/netns/.own ] || { mount -t tmpfs tmpfs /run/netns && touch /run/netns/.own; }
  ' "$folder"
}

start_containerd() {
  start_in "n$1" "containerd-n$1" containerd --config "$place/n$1/containerd.toml"
}

await_containerd() {
  await "containerd of n$1 answers" "containerd-n$1" 30 ctr_on "$1" version
}

start_kubelet() {
  start_in "n$1" "kubelet-n$1" "$bin/kubelet" \
    --config "$place/n$1/kubelet.yaml" --kubeconfig "$pki/n$1.kubeconfig" \
    --root-dir "$place/n$1/kubelet" --hostname-override "n$1" \
    --node-ip "$(machine_address "n$1")" \
    --node-labels "topology.kubernetes.io/zone=zone-$1,topology.kubernetes.io/region=here"
  # What the API server asks of a Service comes through n1, and the answer of a pod on n2 has to come
  # back that way.
  start_in "n$1" "proxy-n$1" "$bin/kube-proxy" --masquerade-all \
    --kubeconfig "$pki/proxy.kubeconfig" --hostname-override "n$1" \
    --proxy-mode iptables --cluster-cidr "$net.0.0/17" \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0s \
    --conntrack-tcp-timeout-close-wait 0s
}

await_node() {
  await "the node n$1 is there" "kubelet-n$1" 60 k get node "n$1"
  await "the node n$1 is ready" "kubelet-n$1" 60 \
    k wait --for condition=Ready "node/n$1" --timeout 1s
}

cni_configuration() {
  cat <<JSON
{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0",
      "isGateway": true, "ipMasq": false, "hairpinMode": true,
      "ipam": {
        "type": "host-local", "dataDir": "$place/n$1/cni-data",
        "ranges": [[{"subnet": "$(pod_network "$1")"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
}

# Scores of the out-of-memory killer and AppArmor's profiles take rights that a machine in a
# container has not.
containerd_configuration() {
  cat <<TOML
version = 2
root = "$place/n$1/containerd/root"
state = "$place/n$1/containerd/state"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "$place/n$1/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:pinned"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$place/n$1/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$place/n$1/registries"
TOML
}

kubelet_configuration() {
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: $pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: $pki/n$1.crt
tlsPrivateKeyFile: $pki/n$1.key
containerRuntimeEndpoint: unix://$place/n$1/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /grape-$name/n$1
# Machines with control groups of version 1 are still about.
failCgroupV1: false
failSwapOn: false
clusterDNS: [$dns]
clusterDomain: cluster.local
resolvConf: $place/n$1/resolv.conf
staticPodPath: $place/n$1/manifests
volumePluginDir: $place/n$1/plugins
podLogsDir: /var/log/pods
nodeStatusUpdateFrequency: 2s
# A test's machine may be nearly full, and loaded images cannot be pulled again. No shares of the
# disk: what a large one calls nearly full is room enough for pods.
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 200Mi, imagefs.available: 200Mi, nodefs.inodesFree: 1%}
YAML
}
