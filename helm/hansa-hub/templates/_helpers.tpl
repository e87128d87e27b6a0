{{- define "hansa.labels" -}}
app.kubernetes.io/name: hansa-hub
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hansa
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "hansa.selector" -}}
app.kubernetes.io/name: hansa-hub
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hansa.ledgerLabels" -}}
{{ include "hansa.ledgerSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hansa
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "hansa.ledgerSelector" -}}
app.kubernetes.io/name: hansa-ledger
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* An image's name on the registry of global.imageRegistry, where that is set: its own registry is left out. */}}
{{- define "hansa.onRegistry" -}}
{{- $parts := splitList "/" .name -}}
{{- if .root.Values.global.imageRegistry -}}
{{- if and (gt (len $parts) 1) (regexMatch "[.:]|^localhost$" (first $parts)) -}}{{- $parts = rest $parts -}}{{- end -}}
{{ .root.Values.global.imageRegistry }}/{{ join "/" $parts }}
{{- else -}}
{{ .name }}
{{- end -}}
{{- end }}

{{- define "hansa.image" -}}
{{- $name := include "hansa.onRegistry" (dict "root" . "name" .Values.image.repository) -}}
{{- if .Values.image.digest -}}
{{ $name }}@{{ .Values.image.digest }}
{{- else -}}
{{ $name }}:{{ .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Metadata of a pod. labels: what its policies and services choose it by; notes: annotations of its own. */}}
{{- define "hansa.podMetadata" -}}
labels:
  {{- .labels | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.notes | default dict) (.root.Values.podAnnotations | default dict) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What all pods of the chart have of its values. of: values that take the place of the chart's; selector: labels of
pods to be spread over machines; sysctls: kernel settings of the pod. */}}
{{- define "hansa.podSpec" -}}
{{- $of := .of | default .root.Values -}}
{{- $pull := list -}}
{{- range concat (.root.Values.global.imagePullSecrets | default list) (.root.Values.image.pullSecrets | default list) -}}
{{- if kindIs "map" . }}{{ $pull = append $pull .name }}{{ else }}{{ $pull = append $pull . }}{{ end -}}
{{- end -}}
{{- with uniq $pull }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
enableServiceLinks: false
securityContext:
  {{- range $field, $value := .root.Values.podSecurityContext }}
  {{- if not (kindIs "invalid" $value) }}
  {{ $field }}: {{ toJson $value }}
  {{- end }}
  {{- end }}
  {{- with .sysctls }}
  sysctls: {{ toJson . }}
  {{- end }}
{{- with $of.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $of.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $of.affinity }}
affinity: {{- toYaml $of.affinity | nindent 2 }}
{{- else if .selector }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- .selector | nindent 14 }}
{{- end }}
{{- end }}

{{/* Relabelling of what Prometheus scrapes. */}}
{{- define "hansa.relabelings" -}}
honorLabels: true # A site's own target labels (node, region) would rename ours.
{{- with .relabelings }}
relabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Whom the chart's own pods ask for names. */}}
{{- define "hansa.dns" -}}
{{- range .Values.networkPolicy.dns }}
- to:
    {{- if .cidr }}
    - ipBlock: {cidr: {{ .cidr | quote }}}
    {{- else }}
    - namespaceSelector:
        matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}
    {{- end }}
  ports:
    - {protocol: UDP, port: {{ .port | default 53 }}}
    - {protocol: TCP, port: {{ .port | default 53 }}}
{{- end }}
{{- end }}

{{/* What the process is told besides its settings. */}}
{{- define "hansa.environment" -}}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The main hub's Lease, and one for each pool of another leader. */}}
{{- define "hansa.leases" -}}
{{- $lease := dig "leadership" "lease" "hansa-hub" .Values.settings -}}
{{- $names := list $lease -}}
{{- range .Values.leaders }}{{ range .pools }}{{ $names = append $names (printf "%s.%s" $lease .) }}{{ end }}{{ end -}}
{{ toJson $names }}
{{- end }}

{{- define "hansa.account" -}}
system:serviceaccount:{{ .Release.Namespace }}:hansa-hub
{{- end }}

{{/* Settings in camelCase as environment variables: grants.validitySeconds is HANSA_HUB_GRANTS__VALIDITY_SECONDS.
Takes a prefix, and the settings. */}}
{{- define "hansa.settings" -}}
{{- $prefix := .prefix }}
{{- range $group, $settings := .settings }}
{{- if kindIs "map" $settings }}
{{- range $name, $value := $settings }}
- name: {{ $prefix }}{{ snakecase $group | upper }}__{{ snakecase $name | upper }}
  value: {{ include "hansa.value" $value }}
{{- end }}
{{- else }}
- name: {{ $prefix }}{{ snakecase $group | upper }}
  value: {{ include "hansa.value" $settings }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whole numbers arrive as floats: written out, or 86400000 becomes 8.64e+07. */}}
{{- define "hansa.value" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . | toString | quote }}
{{- else -}}
{{ toString . | quote }}
{{- end -}}
{{- end }}
