# shellcheck shell=bash
# A registry on the machine cp, as platform teams have one: a certificate of the cluster's authority,
# and a password, unless nobody wants one. It is reached from the nodes and from this machine, and from
# nowhere else.

registry_user=grape
# Everybody may know it: what is in the registry is a test's.
registry_password=vineyard
# The same for the registry (bcrypt).
registry_hash='$2a$05$WeQR76mSxbiWq0idLjh4KerwCcUK4wmJe7HEE8UNR4V11aiJB0ih2'

registry_address() { printf '%s:5000' "$api"; }

# start_registry ACCESS: password, or anonymous.
start_registry() {
  local programs folder=$place/registry access
  if running registry && access=$(cat "$folder/access") && [ "$access" != "$1" ]; then
    fail "the registry of the cluster $name runs already, with the access \"$access\" and not \"$1\". \
For the other: \`$0 --name $name down\`, and \`up\` again"
  fi
  programs=$("$scripts/../release/tools/build")
  mkdir -p "$folder"
  "$scripts/certificates" "$pki" "https://$api:6443" registry /CN=registry "IP:$api"
  printf '%s:%s\n' "$registry_user" "$registry_hash" >"$folder/passwords"
  printf '%s\n' "$1" >"$folder/access"
  registry_configuration "$1" >"$folder/configuration.yaml"
  start_in cp registry "$programs/registry" serve "$folder/configuration.yaml"
  write_authorities
  await 'the registry takes connections' registry 60 \
    bash -c "exec 3<>/dev/tcp/$api/5000"
}

registry_configuration() {
  cat <<YAML
version: 0.1
log: {level: info}
storage:
  filesystem: {rootdirectory: $place/registry/content}
  delete: {enabled: true}
http:
  addr: $(registry_address)
  tls: {certificate: $pki/registry.crt, key: $pki/registry.key}
YAML
  if [ "$1" = password ]; then
    printf 'auth:\n  htpasswd: {realm: grape, path: %s}\n' "$place/registry/passwords"
  fi
}

# How a node finds it: containerd reads this at each pull.
registry_hosts() {
  cat <<TOML
server = "https://$(registry_address)"
[host."https://$(registry_address)"]
  ca = "$pki/ca.crt"
TOML
}

# The cluster's authority beside those that this machine trusts: who pushes downloads from elsewhere too.
write_authorities() {
  local trusted=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt} file=$place/registry/authorities.crt
  # It may be ours already.
  if [ "$trusted" -ef "$file" ]; then return; fi
  cat "$pki/ca.crt" >"$file.new"
  if [ -e "$trusted" ]; then cat "$trusted" >>"$file.new"; fi
  mv "$file.new" "$file"
}

# For a shell to evaluate. Helm, crane and other programs take the authorities from the variable.
show_registry() {
  printf 'export REGISTRY=%q SSL_CERT_FILE=%q' "$(registry_address)" "$place/registry/authorities.crt"
  if [ "$1" = password ]; then
    printf ' REGISTRY_USERNAME=%q REGISTRY_PASSWORD=%q' "$registry_user" "$registry_password"
  fi
  printf '\n'
}
