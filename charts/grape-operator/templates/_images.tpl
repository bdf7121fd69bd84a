{{/*
An image: takes (dict "image" VALUES "context" $). A digest alone is enough, a tag beside it is kept.
A registry is put before a repository that names none. As everywhere, the first part of a repository
is a registry if it has a dot or a port, or is localhost.
*/}}
{{- define "grape-operator.image" -}}
{{- $tag := .image.tag -}}
{{- if not (or $tag .image.digest) -}}
{{- $tag = .context.Chart.AppVersion -}}
{{- end -}}
{{- $global := .context.Values.global | default dict -}}
{{- if not (regexMatch "^([^/]*[.:][^/]*|localhost)/" .image.repository) -}}
{{- with .image.registry | default $global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- end -}}
{{- .image.repository -}}
{{- with $tag }}:{{ . }}{{ end -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* The Secrets that nodes pull the operator's image with, each once; empty if there are none. */}}
{{- define "grape-operator.pullSecrets" -}}
{{- $global := .Values.global | default dict -}}
{{- $secrets := .Values.imagePullSecrets | default list -}}
{{- range $global.imagePullSecrets -}}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with $secrets | uniq }}{{ toYaml . }}{{ end -}}
{{- end -}}
