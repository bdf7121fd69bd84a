{{/*
The name of every object of the release. At most 52 characters, so that what is appended fits. A
Service has to be able to have it (RFC 1035): Helm takes releases named `1grape` or `my.release`, and
API servers would refuse their Services when the webhook is there already.
*/}}
{{- define "grape-operator.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $of := .Values.nameOverride | default .Chart.Name -}}
{{- $name = contains $of .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $of) -}}
{{- $name = $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the release's objects would be named %q, which no Service can be: a name begins with a letter, and has small letters, digits and dashes. Set fullnameOverride, as in --set fullnameOverride=grape-operator, or choose another release name" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/*
What the Deployment, the Service, the NetworkPolicy and the PodDisruptionBudget select pods by.
The first one cannot be changed by a value: the NetworkPolicy that the operator makes for a
GrapeCluster lets in pods that have it.
*/}}
{{- define "grape-operator.selectorLabels" -}}
app.kubernetes.io/name: grape-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "grape-operator.versionLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end -}}

{{/* Of objects that nothing is to find by the release's labels. */}}
{{- define "grape-operator.commonLabels" -}}
{{ include "grape-operator.versionLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "grape-operator.labels" -}}
{{ include "grape-operator.selectorLabels" . }}
{{ include "grape-operator.commonLabels" . }}
{{- end -}}

{{/* Those, and labels of an object's own, which take precedence: takes (dict "labels" LABELS "context" $). */}}
{{- define "grape-operator.labelsAnd" -}}
{{ include "grape-operator.selectorLabels" .context }}
{{ include "grape-operator.versionLabels" .context }}
{{- with merge (deepCopy (.labels | default dict)) (.context.Values.commonLabels | default dict) }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "grape-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "grape-operator.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{/* Quantities as texts, as API servers store them: one that is a number would be another value to them. */}}
{{- define "grape-operator.resources" -}}
{{- $resources := dict -}}
{{- range $kind, $amounts := .Values.resources -}}
{{- $texts := dict -}}
{{- range $name, $amount := $amounts -}}
{{- $_ := set $texts $name (toString $amount) -}}
{{- end -}}
{{- $_ := set $resources $kind $texts -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
