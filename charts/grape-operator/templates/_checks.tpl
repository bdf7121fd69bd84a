{{/*
What the schema cannot say in words. Each define prints one line for each problem, and nothing if
there is none.
*/}}

{{/* Names of values of other charts, each with what to use instead: files/other-names.yaml. */}}
{{- define "grape-operator.otherNames" -}}
{{- $values := .Values -}}
{{- range .Files.Get "files/other-names.yaml" | fromYamlArray -}}
{{- $found := $values -}}
{{- $given := true -}}
{{- range splitList "." .name -}}
{{- $map := kindIs "map" $found | ternary $found dict -}}
{{- $given = and $given (hasKey $map .) -}}
{{- $found = get $map . -}}
{{- end -}}
{{- /* A name whose value is null is not given. */ -}}
{{- if and $given (not (kindIs "invalid" $found)) }}
{{ .name }}: use {{ .use }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What extraArgs and extraEnv would set a second time, or in vain: files/settings.yaml. */}}
{{- define "grape-operator.setTwice" -}}
{{- $root := . -}}
{{- range .Files.Get "files/settings.yaml" | fromYamlArray -}}
{{- $instead := empty .value | ternary "the chart sets it itself" (printf "use %s" .value) -}}
{{- $flag := .flag -}}
{{- range $index, $argument := $root.Values.extraArgs -}}
{{- if eq (splitList "=" $argument | first) $flag }}
extraArgs[{{ $index }}] is {{ $argument }}: {{ $instead }}
{{- end -}}
{{- end -}}
{{- $variable := .variable -}}
{{- range $index, $each := $root.Values.extraEnv -}}
{{- if eq $each.name $variable }}
extraEnv[{{ $index }}] is {{ $variable }}: {{ $instead }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $index, $each := .Values.extraVolumes -}}
{{- if eq $each.name "certificates" }}
extraVolumes[{{ $index }}] has the name certificates, which is that of webhook.certificates.secret: use another name
{{- end -}}
{{- end -}}
{{- range $index, $each := .Values.extraVolumeMounts -}}
{{- if eq (trimSuffix "/" $each.mountPath) "/certificates" }}
extraVolumeMounts[{{ $index }}] is at /certificates, where webhook.certificates.secret is: use another path
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels by which objects are found, or by which they give rights, are the chart's. */}}
{{- define "grape-operator.takenLabels" -}}
{{- range $key, $_ := .Values.commonLabels -}}
{{- if regexMatch "^(app\\.kubernetes\\.io|grenache\\.dev|helm\\.sh|rbac\\.authorization\\.k8s\\.io)/" $key }}
commonLabels has {{ $key }}: only the chart sets labels of {{ splitList "/" $key | first }}. Use a label of your own, as in example.com/team
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "grape-operator.portsAlike" -}}
{{- if and (eq (int .Values.webhook.port) (int .Values.adminPort)) (include "grape-operator.webhook" .) }}
webhook.port is {{ .Values.webhook.port }}, and so is adminPort: give them two ports
{{- end -}}
{{- end -}}
