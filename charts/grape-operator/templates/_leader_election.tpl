{{/* The flags of the election. Refuses durations with which a leader would lose the Lease it holds. */}}
{{- define "grape-operator.leaderElection" -}}
{{- with .Values.leaderElection -}}
{{- $lease := trimSuffix "s" .leaseDuration | int -}}
{{- $renew := trimSuffix "s" .renewDeadline | int -}}
{{- $retry := trimSuffix "s" .retryPeriod | int -}}
{{- if le $lease $renew -}}
{{- fail (printf "leaderElection.leaseDuration (%s) has to be longer than leaderElection.renewDeadline (%s)" .leaseDuration .renewDeadline) -}}
{{- end -}}
{{- if le $renew $retry -}}
{{- fail (printf "leaderElection.renewDeadline (%s) has to be longer than leaderElection.retryPeriod (%s)" .renewDeadline .retryPeriod) -}}
{{- end -}}
- {{ printf "--lease-duration=%s" .leaseDuration | quote }}
- {{ printf "--renew-deadline=%s" .renewDeadline | quote }}
- {{ printf "--retry-period=%s" .retryPeriod | quote }}
{{- end -}}
{{- end -}}
