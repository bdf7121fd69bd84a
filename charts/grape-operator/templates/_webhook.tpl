{{/* Whether there is a webhook; empty if not. */}}
{{- define "grape-operator.webhook" -}}
{{- if eq (toString .Values.webhook.enabled) "auto" -}}
{{- if not .Values.watchNamespaces }}true{{ end -}}
{{- else if .Values.webhook.enabled -}}
true
{{- end -}}
{{- end -}}

{{/* Whether it runs alone, on the nodes' network; empty if not. */}}
{{- define "grape-operator.webhookOnNodes" -}}
{{- if .Values.webhook.hostNetwork }}{{ include "grape-operator.webhook" . }}{{ end -}}
{{- end -}}

{{/* The name of its Service. The operator adds -tls to it for the Secret, and .NAMESPACE for the rest. */}}
{{- define "grape-operator.webhookName" -}}
{{- include "grape-operator.fullname" . }}-webhook
{{- end -}}

{{/*
The name of what there is of it for the whole cluster. With the namespace in it, so that releases of
one name in two namespaces have one each.
*/}}
{{- define "grape-operator.webhookConfigurationName" -}}
{{- include "grape-operator.webhookName" . }}.{{ .Release.Namespace }}
{{- end -}}

{{/*
One webhook of the configuration: takes (dict "name" NAME "failurePolicy" POLICY "namespaces"
EXPRESSIONS "pods" EXPRESSIONS "context" $).
*/}}
{{- define "grape-operator.webhookEntry" -}}
{{- $values := .context.Values.webhook -}}
{{- $namespaces := $values.namespaceSelector | default dict -}}
{{- $pods := $values.objectSelector | default dict -}}
- name: {{ .name }}.inject.grenache.dev
  clientConfig:
    # Without a caBundle, which the operator writes: so an upgrade leaves the one that is there.
    {{- if $values.certificates.secret }}
    {{- with $values.certificates.caBundle }}
    caBundle: {{ . | quote }}
    {{- end }}
    {{- end }}
    service:
      name: {{ include "grape-operator.webhookName" .context | quote }}
      namespace: {{ .context.Release.Namespace | quote }}
      path: /inject
      port: 443
  rules:
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [CREATE]
      resources: [pods]
      scope: Namespaced
  # Also for pods that are created by a later version of the API.
  matchPolicy: Equivalent
  namespaceSelector:
    {{- with $namespaces.matchLabels }}
    matchLabels:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    matchExpressions:
      # Pods that Kubernetes needs to come up do not wait for the operator.
      - key: kubernetes.io/metadata.name
        operator: NotIn
        values: [kube-system]
      {{- with .context.Values.watchNamespaces }}
      - key: kubernetes.io/metadata.name
        operator: In
        values: {{ toJson . }}
      {{- end }}
      {{- with concat .namespaces ($namespaces.matchExpressions | default list) }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  objectSelector:
    {{- with $pods.matchLabels }}
    matchLabels:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    matchExpressions:
      # Neither does the operator itself. The webhook is called for other pods of its namespace.
      - key: app.kubernetes.io/name
        operator: NotIn
        values: [grape-operator]
      - key: grenache.dev/inject
        operator: NotIn
        values: [disabled]
      {{- with concat .pods ($pods.matchExpressions | default list) }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  # A webhook that comes later may add containers, which have to find the Grape, too.
  reinvocationPolicy: IfNeeded
  failurePolicy: {{ .failurePolicy | quote }}
  timeoutSeconds: {{ $values.timeoutSeconds }}
  # Events, which are not written in a dry run.
  sideEffects: NoneOnDryRun
  admissionReviewVersions: [v1]
{{- end -}}
