# shellcheck shell=bash
# Images that are put into the nodes by hand: no registry has them.

# The two that a cluster itself needs, made of the tools; once.
system_images() {
  images=$bin/images
  if [ -e "$images/coredns.tar" ]; then return; fi
  mkdir -p "$images"
  "$bin/oci-image" -name localhost/pause:pinned -out "$images/pause.tar" \
    -entrypoint /pause "$bin/pause:/pause" >/dev/null
  # It listens at port 53, which is root's.
  "$bin/oci-image" -name localhost/coredns:pinned -out "$images/coredns.tar" \
    -user 0:0 -entrypoint /coredns "$bin/coredns:/coredns" >/dev/null
}

import_image() {
  ctr_on "$1" images import --digests "$2" >"$place/.imported-$1" 2>&1 || {
    tail -n 5 "$place/.imported-$1" >&2
    fail "containerd of n$1 does not take $2"
  }
}

# tag_image N IMAGE NAME
tag_image() {
  ctr_on "$1" images tag --force "$2" "$3" >/dev/null || fail "n$1 has no image $2"
}
