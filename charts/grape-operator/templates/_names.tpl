{{/* The name of every object of the release. At most 52 characters, so that what is appended fits. */}}
{{- define "grape-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/*
What the Deployment, the Service, the NetworkPolicy and the PodDisruptionBudget select pods by.
The first one cannot be changed by a value: the NetworkPolicy that the operator makes for a
GrapeCluster lets in pods that have it.
*/}}
{{- define "grape-operator.selectorLabels" -}}
app.kubernetes.io/name: grape-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "grape-operator.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "grape-operator.labels" -}}
{{ include "grape-operator.selectorLabels" . }}
{{ include "grape-operator.commonLabels" . }}
{{- end -}}

{{- define "grape-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "grape-operator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* An image: takes (dict "image" VALUES "context" $). A digest alone is enough, a tag beside it is kept. */}}
{{- define "grape-operator.image" -}}
{{- $tag := .image.tag -}}
{{- if not (or $tag .image.digest) -}}
{{- $tag = .context.Chart.AppVersion -}}
{{- end -}}
{{- .image.repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}
