# shellcheck shell=bash
# etcd, the API server, the controllers and the scheduler, on the machine cp.

make_certificates() {
  local node wanted=(
    apiserver /CN=kube-apiserver
    "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:$first_service,IP:$api"
    admin /O=system:masters/CN=admin ''
    controller-manager /CN=system:kube-controller-manager ''
    scheduler /CN=system:kube-scheduler ''
    proxy /CN=system:kube-proxy ''
    # For exec and logs, and for aggregated APIs.
    kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client ''
    front-proxy /CN=front-proxy ''
  )
  for node in "${nodes[@]}"; do
    wanted+=("n$node" "/O=system:nodes/CN=system:node:n$node"
      "DNS:n$node,IP:$(machine_address "n$node")")
  done
  "$scripts/certificates" "$pki" "https://$api:6443" "${wanted[@]}"
}

k() { "$bin/kubectl" --kubeconfig "$kubeconfig" --request-timeout 20s "$@"; }

start_api_server() {
  start_in cp etcd "$bin/etcd" --data-dir "$place/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
  start_in cp apiserver "$bin/kube-apiserver" \
    --etcd-servers http://127.0.0.1:2379 \
    --advertise-address "$api" --secure-port 6443 \
    --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --client-ca-file "$pki/ca.crt" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction \
    --allow-privileged \
    --feature-gates MutatingAdmissionPolicy=true \
    --runtime-config admissionregistration.k8s.io/v1beta1=true \
    --service-account-issuer https://kubernetes.default.svc \
    --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
    --service-cluster-ip-range "$services" \
    --kubelet-client-certificate "$pki/kubelet-client.crt" \
    --kubelet-client-key "$pki/kubelet-client.key" \
    --kubelet-certificate-authority "$pki/ca.crt" \
    --kubelet-preferred-address-types InternalIP \
    --requestheader-client-ca-file "$pki/ca.crt" --requestheader-allowed-names front-proxy \
    --requestheader-username-headers X-Remote-User \
    --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$pki/front-proxy.crt" --proxy-client-key-file "$pki/front-proxy.key"
  await 'the API server is ready' apiserver 60 k get --raw /readyz
}

start_controllers() {
  # A node that is cut off is noticed after ten seconds, not after forty.
  start_in cp controller-manager "$bin/kube-controller-manager" \
    --kubeconfig "$pki/controller-manager.kubeconfig" --leader-elect=false \
    --use-service-account-credentials \
    --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" \
    --node-monitor-grace-period 10s --node-monitor-period 2s \
    --enable-hostpath-provisioner
  start_in cp scheduler "$bin/kube-scheduler" \
    --kubeconfig "$pki/scheduler.kubeconfig" --leader-elect=false
  k apply --filename "$scripts/manifests/system.yaml" >/dev/null
}

await_controllers() {
  await 'the default service account is there' controller-manager 60 \
    k get serviceaccount default
}
