{{/* Whether API servers warn of mistakes: takes rights over the whole cluster to install. */}}
{{- define "grape-operator.warns" -}}
{{- if eq (toString .Values.warnings.enabled) "auto" -}}
{{- if or (not .Values.watchNamespaces) (include "grape-operator.webhook" .) }}true{{ end -}}
{{- else if .Values.warnings.enabled -}}
true
{{- end -}}
{{- end -}}

{{- define "grape-operator.warnedNamespaces" -}}
namespaceSelector:
{{- with .Values.watchNamespaces }}
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{ toJson . }}
{{- else }} {}
{{- end }}
objectSelector: {}
matchPolicy: Equivalent
{{- end -}}

{{/*
What a key probably means, in CEL: one of the other kind, or those that begin with the same two letters.
Takes the names of the variables that have the keys of its kind and of the other, and what the other is.
*/}}
{{- define "grape-operator.meant" -}}
(key in variables.{{ .other }} ? ' is {{ .kind }}' :
' has no effect' + (key.size() > 14 && variables.{{ .known }}.exists(known,
known.substring(0, 15) == key.lowerAscii().substring(0, 15)) ? ': did you mean ' +
variables.{{ .known }}.filter(known, known.substring(0, 15) == key.lowerAscii().substring(0, 15)).join(' or ') +
'?' : '. There are ' + variables.{{ .known }}.join(', ')))
{{- end -}}

{{- define "grape-operator.warningBinding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "grape-operator.labels" .context | nindent 4 }}
spec:
  policyName: {{ .name | quote }}
  validationActions: [Warn]
{{- end -}}
