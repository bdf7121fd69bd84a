{{/* Another name than the operator's, so that the Service does not take the pod for one of its. */}}
{{- define "grape-operator.checkLabels" -}}
app.kubernetes.io/name: grape-operator-check
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{ include "grape-operator.commonLabels" . }}
{{- end -}}

{{/* What the pod needs is there before it, and goes when it has succeeded. */}}
{{- define "grape-operator.checkRights" -}}
helm.sh/hook: test
helm.sh/hook-weight: "-1"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
