# shellcheck shell=bash
# shellcheck disable=SC2154 # release/push sets these names.
# What goes to the registry, and what is said when the registry does not take it.

# Longest REGISTRY/PREFIX: registries take names of 255 characters, and more is appended.
MAX_TARGET=200
# Longest time of one push.
PUSH_SECONDS=1800

fail() {
  printf 'push: %s\n' "$*" >&2
  exit 1
}

check_target() {
  case $target in
    *://*) refuse "REGISTRY/PREFIX is $target; leave out ${target%%://*}://, as in ${target#*://}" ;;
  esac
  target=${target%/}
  host=${target%%/*}
  if [ "${#target}" -gt "$MAX_TARGET" ]; then
    refuse "REGISTRY/PREFIX has ${#target} characters; at most $MAX_TARGET are allowed"
  fi
  # Without a dot or a port, registries' clients would take the first word for a user of Docker Hub.
  if ! [[ $host =~ ^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]+)?$ ]] ||
    ! [[ $host == *[.:]* || $host == localhost ]]; then
    refuse "REGISTRY is \"$host\"; expected the name of a host, as in registry.example.org/platform"
  fi
  if ! [[ $target =~ ^[^/]+(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$ ]]; then
    refuse "PREFIX is \"${target#"$host"}\"; expected one or more words of small letters and digits, each \
after a slash, as in registry.example.org/platform"
  fi
}

check_secret() {
  if [ -n "$pull_secret" ] && ! [[ $pull_secret =~ ^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$ ]]; then
    refuse "--pull-secret is \"$pull_secret\"; expected the name of a Secret: small letters, digits, '-' and '.'"
  fi
}

# The images and the chart that release/build wrote.
find_release() {
  local image charts
  for image in grape operator; do
    [ -f "$dist/images/$image.tar" ] ||
      refuse "there is no $dist/images/$image.tar. Build the release first: release/build VERSION"
  done
  charts=("$dist"/charts/grape-operator-*.tgz)
  [ -f "${charts[0]}" ] ||
    refuse "there is no chart in $dist/charts. Build the release first: release/build VERSION"
  [ "${#charts[@]}" -eq 1 ] || refuse "$dist/charts has several charts: ${charts[*]}. Leave one"
  chart=${charts[0]}
  version=$(basename "$chart" .tgz)
  version=${version#grape-operator-}
}

# crane reads what docker login left. It is to read what helm registry login left too, as Helm reads
# both.
use_credentials() {
  local helms
  helms=$("$tools/helm" env HELM_REGISTRY_CONFIG)
  if [ ! -f "$helms" ]; then return; fi
  mkdir -p "$scratch/docker"
  cp "$helms" "$scratch/docker/config.json"
  if DOCKER_CONFIG=$scratch/docker "$tools/crane" auth get "$host" 2>/dev/null | grep -q Secret; then
    export DOCKER_CONFIG=$scratch/docker
  fi
}

# push_image NAME TAR: sets the digest.
push_image() {
  local layout=$scratch/$1 name=$target/$1:${version//+/_}
  mkdir "$layout"
  tar -xf "$2" -C "$layout" || fail "$2 is no OCI image. Build the release again: release/build VERSION"
  digest=$(pushed "$name" "$tools/crane" push "$layout" "$name")
  digest=${digest##*@}
}

# Sets chart_digest, and plain_http to the flag that Helm needs for this registry.
push_chart() {
  # Helm writes the time of the file into the registry's manifest, and the same chart has the same one.
  mkdir "$scratch/chart"
  cp "$chart" "$scratch/chart/"
  tar -xf "$chart" -C "$scratch/chart" grape-operator/Chart.yaml
  touch -r "$scratch/chart/grape-operator/Chart.yaml" "$scratch/chart/$(basename "$chart")"
  local arguments=(push "$scratch/chart/$(basename "$chart")" "oci://$target/charts") said
  plain_http=
  # crane finds out by itself, Helm is told.
  if is_loopback && ! said=$("$tools/helm" "${arguments[@]}" 2>&1) &&
    [[ $said == *'server gave HTTP response to HTTPS client'* ]]; then
    plain_http=--plain-http
  fi
  pushed "$target/charts/grape-operator" "$tools/helm" "${arguments[@]}" ${plain_http:+"$plain_http"} \
    >"$scratch/pushed"
  # Helm tells it on standard error.
  chart_digest=$(cat "$scratch/pushed" "$scratch/said" | sed -n 's/^Digest: //p')
  [[ $chart_digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "Helm told no digest of the chart: $(<"$scratch/said")"
}

is_loopback() { [[ ${host%:*} =~ ^(localhost|127\.[0-9.]+|\[::1\])$ ]]; }

# pushed NAME COMMAND...: prints what the command prints, or says why the registry does not take NAME. The
# command's standard error is in the file said.
pushed() {
  local name=$1 said
  shift
  if timeout "$PUSH_SECONDS" "$@" 2>"$scratch/said"; then return; fi
  said=$(tail -n 5 "$scratch/said" | cut -c 1-2000)
  printf '%s\n' "$said" >&2
  case $said in
    *UNAUTHORIZED* | *DENIED* | *'basic credential not found'* | *'status code 401'* | *'status code 403'* | *'401 Unauthorized'* | *'403 Forbidden'*)
      fail "$host does not let you push $name. Log in: helm registry login $host. If you are logged in: \
your user needs the right to push there" ;;
    *NAME_UNKNOWN*)
      fail "$host has no repository for $name, and makes none at a push. Create the repository there first" ;;
    *x509:*)
      fail "this machine does not trust the certificate of $host. Set SSL_CERT_FILE to a file with the \
certificates of the authority that signed it, and of those that this machine trusts" ;;
    *'connection refused'* | *'no such host'* | *'i/o timeout'* | *'no route to host'* | *'network is unreachable'* | *'server misbehaving'* | *'deadline exceeded'*)
      fail "$host cannot be reached from here. Check the name and the port, and whether a proxy is needed \
(HTTPS_PROXY)" ;;
    *) fail "$host did not take $name: see above" ;;
  esac
}
