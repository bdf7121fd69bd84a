{{/* What the operator may do where GrapeClusters are. */}}
{{- define "grape-operator.rules" -}}
# The operator reads the GrapeClusters, which users write …
- apiGroups: [grenache.dev]
  resources: [grapeclusters]
  verbs: [get, list, watch]
# … and writes only their status.
- apiGroups: [grenache.dev]
  resources: [grapeclusters/status]
  verbs: [get, patch]
# To make objects that hold up the deletion of their GrapeCluster (blockOwnerDeletion).
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
# So that drains of nodes evict few Grapes at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# To limit which pods may reach the Grapes, if a GrapeCluster asks for it.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# To have the Grapes scraped, if a GrapeCluster asks for it and the Prometheus operator is
# installed.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# To find the Grapes and read their status, and to count the pods of services, with or without a
# Grape. Delete is for a Grape's pod that does not start and that its StatefulSet does not replace,
# so that a fixed template reaches it. Create is for dry runs only: they show whether a pod would
# come back with a Grape before it is evicted, and why a Grape's pod cannot be created. Create
# allows nothing that the StatefulSets above do not.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
# Pods of services without a Grape are evicted if a GrapeCluster asks for it
# (spec.injection.repair): by the eviction API, which respects PodDisruptionBudgets; they are never
# deleted.
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# The labels of a namespace say whether its pods get a Grape, or may have one. With watchNamespaces
# only get has an effect: a Role cannot allow list and watch of namespaces.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get, list, watch]
# Only events say why a StatefulSet cannot create a pod, such as a quota.
- apiGroups: [""]
  resources: [events]
  verbs: [list]
# The event about a pod that is refused is at the pod's Deployment, which its ReplicaSet names.
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get]
# The events that `kubectl describe grapecluster` shows.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
