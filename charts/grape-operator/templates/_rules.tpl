{{/* What the operator may do where GrapeClusters are. */}}
{{- define "grape-operator.rules" -}}
# What it reconciles. Users write it, the operator only reads it …
- apiGroups: [grenache.dev]
  resources: [grapeclusters]
  verbs: [get, list, watch]
# … and says in its status how it is.
- apiGroups: [grenache.dev]
  resources: [grapeclusters/status]
  verbs: [get, patch]
# Objects that a GrapeCluster owns hold up its deletion (blockOwnerDeletion), which takes this.
- apiGroups: [grenache.dev]
  resources: [grapeclusters/finalizers]
  verbs: [update]
# The Grapes, one StatefulSet for each pool.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# The name by which the Grapes find each other, and the account that they run as, which has no rights.
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
# That a drain of nodes takes few Grapes at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Who may reach the Grapes, where a cluster limits it.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# That the Grapes are scraped, where a cluster asks for it and the Prometheus operator is there.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# Where the Grapes are, to ask them how they are. One that does not start and that its StatefulSet
# will not replace is deleted, so that a mended template reaches it.
# Pods of services are counted, with or without their Grape. Create is for dry runs alone: whether a
# pod would come back with its Grape is asked before one without is evicted, and what is said against
# a Grape's pod that its StatefulSet does not make. It adds nothing to what the StatefulSets above allow.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
# Pods of services without their Grape are evicted where a cluster asks for it (spec.injection.repair):
# by the API that PodDisruptionBudgets hold up, and never deleted.
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# By a namespace's label its pods are to have a Grape, or may have one. With watchNamespaces get alone
# has an effect: of one namespace no Role allows the rest.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
# That a StatefulSet cannot make a pod, as over a quota, its controller tells in events alone.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
# A pod that is refused its Grape is told of at its Deployment, which its ReplicaSet names.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get]
# What `kubectl describe grapecluster` shows of what happened.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
