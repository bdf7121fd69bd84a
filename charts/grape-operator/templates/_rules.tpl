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
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# What `kubectl describe grapecluster` shows of what happened.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
