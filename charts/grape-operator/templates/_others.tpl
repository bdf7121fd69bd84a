{{/* Whether other operators are noticed; empty if not. */}}
{{- define "grape-operator.noticesOthers" -}}
{{- if eq (toString .Values.otherOperators.notice) "auto" -}}
{{- if or (not .Values.watchNamespaces) (include "grape-operator.webhook" .) }}true{{ end -}}
{{- else if .Values.otherOperators.notice -}}
true
{{- end -}}
{{- end -}}
