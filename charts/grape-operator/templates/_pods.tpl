{{/*
Parts of the operator's Deployments. Their context has `component`: what the pods run, `all`,
`controller` or `webhook`.
*/}}

{{- define "grape-operator.deploymentName" -}}
{{- include "grape-operator.fullname" . -}}
{{- if ne .component "all" }}-{{ .component }}{{ end -}}
{{- end -}}

{{/* What one of two Deployments selects its pods by: no selector here matches the other's pods. */}}
{{- define "grape-operator.deploymentLabels" -}}
{{- include "grape-operator.selectorLabels" . -}}
{{- if ne .component "all" }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}
{{- end -}}

{{- define "grape-operator.strategy" -}}
{{- if eq .component "webhook" -}}
type: RollingUpdate
rollingUpdate:
  {{- /* One of a node holds its ports: the next one comes when that one is gone. */}}
  maxUnavailable: 1
  maxSurge: 0
{{- else if .Values.updateStrategy -}}
{{- toYaml .Values.updateStrategy -}}
{{- else -}}
type: RollingUpdate
rollingUpdate:
  {{- /* A pod that is alone goes when the next one can answer: pods are being made meanwhile. */}}
  maxUnavailable: {{ gt (int .Values.replicas) 1 | ternary 1 0 }}
  maxSurge: 1
{{- end -}}
{{- end -}}

{{/* On a node's network each port is the node's, too: so there is one such pod on a node. */}}
{{- define "grape-operator.ports" -}}
- name: admin
  containerPort: {{ .Values.adminPort }}
  {{- if eq .component "webhook" }}
  hostPort: {{ .Values.adminPort }}
  {{- end }}
  protocol: TCP
{{- if and (include "grape-operator.webhook" .) (ne .component "controller") }}
- name: webhook
  containerPort: {{ .Values.webhook.port }}
  {{- if eq .component "webhook" }}
  hostPort: {{ .Values.webhook.port }}
  {{- end }}
  protocol: TCP
{{- end -}}
{{- end -}}

{{/* What the Pod Security Standard `restricted` asks for, and over it what the values say. */}}
{{- define "grape-operator.podSecurityContext" -}}
{{- $ours := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (mergeOverwrite $ours (deepCopy (.Values.podSecurityContext | default dict))) -}}
{{- end -}}

{{- define "grape-operator.securityContext" -}}
{{- with .Values.securityContext -}}
{{- $ours := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- toYaml (mergeOverwrite $ours (deepCopy .)) -}}
{{- else -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
{{- end -}}

{{/* Whether the pods of a component serve with a certificate that somebody else keeps; empty if not. */}}
{{- define "grape-operator.certificateMounted" -}}
{{- if and (include "grape-operator.webhook" .) .Values.webhook.certificates.secret (ne .component "controller") -}}
true
{{- end -}}
{{- end -}}

{{- define "grape-operator.volumeMounts" -}}
{{- if include "grape-operator.certificateMounted" . -}}
- name: certificates
  mountPath: /certificates
  readOnly: true
{{ end -}}
{{- with .Values.extraVolumeMounts }}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{- define "grape-operator.volumes" -}}
{{- if include "grape-operator.certificateMounted" . -}}
- name: certificates
  secret:
    secretName: {{ .Values.webhook.certificates.secret | quote }}
{{ end -}}
{{- with .Values.extraVolumes }}
{{- toYaml . -}}
{{- end -}}
{{- end -}}

{{/* Where the pods run. */}}
{{- define "grape-operator.scheduling" -}}
{{- with .Values.nodeSelector -}}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{ end -}}
{{- with .Values.tolerations -}}
tolerations:
  {{- toYaml . | nindent 2 }}
{{ end -}}
{{- with .Values.affinity -}}
affinity:
  {{- toYaml . | nindent 2 }}
{{ end -}}
topologySpreadConstraints:
  {{- with .Values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- /* Soft: on a cluster of one node both pods run all the same. */}}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - topologyKey: {{ . | quote }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "grape-operator.deploymentLabels" $ | nindent 8 }}
    # Pods of the revision that is going away do not count.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- end }}
{{- end -}}
