# shellcheck shell=bash
# shellcheck disable=SC2154 # release/push sets these names.
# What installs a pushed release: values, a manifest, a kustomize base.

NAMESPACE=grape-system

write_values() {
  cat <<YAML
# The images that release/push pushed, as values of the chart grape-operator $version.
image:
  repository: $target/grape-operator
  digest: $operator_digest
grapeImage:
  repository: $target/grape
  digest: $grape_digest
YAML
  write_secret
}

write_secret() {
  if [ -n "$pull_secret" ]; then printf 'imagePullSecrets:\n  - name: %s\n' "$pull_secret"; fi
}

# rendered VALUES: the objects of the chart, without tests and without the labels by which Helm says that
# they are its own. The annotation by which Helm keeps the CRD stays, for a release that takes it over.
rendered() {
  cat <<YAML
---
apiVersion: v1
kind: Namespace
metadata:
  name: $NAMESPACE
YAML
  "$tools/helm" template grape-operator "$chart" --namespace "$NAMESPACE" --no-hooks --values "$1" |
    sed -e '/^# Source: /d' -e '/^ *app.kubernetes.io\/managed-by: "\{0,1\}Helm"\{0,1\}$/d' \
      -e '/^ *helm.sh\/chart: /d'
}

write_install() {
  cat <<YAML
# The operator of GrapeClusters $version, from $target:
#
#   kubectl apply --server-side -f install.yaml
#
# To delete what is in here deletes the CustomResourceDefinition, and with it all GrapeClusters.
YAML
  rendered "$scratch/values.yaml"
}

# write_base FOLDER
write_base() {
  mkdir "$1"
  {
    printf 'image: {repository: grape-operator}\ngrapeImage: {repository: grape}\n'
    write_secret
  } >"$scratch/base.yaml"
  rendered "$scratch/base.yaml" >"$1/resources.yaml"
  cat >"$1/images.yaml" <<'YAML'
# Where kustomize finds the image of Grapes: in the variable GRAPE_IMAGE of the operator.
images:
  - path: spec/template/spec/containers[]/env[]/value
    group: apps
    kind: Deployment
YAML
  cat >"$1/kustomization.yaml" <<YAML
# The operator of GrapeClusters $version. Set other images here with
#
#   kustomize edit set image grape-operator=IMAGE grape=IMAGE
#
# An overlay may set another namespace. An overlay that sets images needs a copy of images.yaml, and the
# line \`configurations: [images.yaml]\`.
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - resources.yaml
configurations:
  - images.yaml
images:
  - name: grape-operator
    newName: $target/grape-operator
    digest: $operator_digest
  - name: grape
    newName: $target/grape
    digest: $grape_digest
patches:
  # The name of this object stays the same in another namespace.
  - target: {kind: Deployment, name: grape-operator}
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/env/-
        value: {name: WEBHOOK_CONFIGURATION, value: grape-operator-webhook.$NAMESPACE}
YAML
}
