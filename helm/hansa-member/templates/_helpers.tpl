{{- define "hansa.labels" -}}
app.kubernetes.io/name: hansa-member
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hansa
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "hansa.selector" -}}
app.kubernetes.io/name: hansa-member
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

{{/* What the exporter tolerates: what pods of runs do, so that every machine that takes them is read, and its own. The
built-in rows are those of hansa/reconcile/member/inventory/accelerators.py; a test compares. */}}
{{- define "hansa.exporterTolerations" -}}
{{- $found := list -}}
{{- range tuple "nvidia.com/gpu" "amd.com/gpu" "gpu.intel.com/i915" "gpu.intel.com/xe" -}}
{{- $found = append $found (dict "key" . "operator" "Exists") -}}
{{- end -}}
{{- range (.Values.settings.machines).accelerators -}}
{{- with .taint -}}{{- $found = append $found (dict "key" . "operator" "Exists") -}}{{- end -}}
{{- end -}}
{{- range (.Values.settings.runs).tolerations -}}
{{- $row := dict "key" .key "operator" (ternary "Equal" "Exists" (not (empty .value))) -}}
{{- with .value -}}{{- $_ := set $row "value" . -}}{{- end -}}
{{- with .effect -}}{{- $_ := set $row "effect" . -}}{{- end -}}
{{- $found = append $found $row -}}
{{- end -}}
{{ toJson (uniq (concat $found (.Values.exporter.tolerations | default list))) }}
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

{{- define "hansa.account" -}}
system:serviceaccount:{{ .Release.Namespace }}:hansa-member
{{- end }}

{{/* Settings in camelCase as environment variables: limits.clockSkewSeconds is HANSA_MEMBER_LIMITS__CLOCK_SKEW_SECONDS. */}}
{{- define "hansa.settings" -}}
{{- range $group, $settings := .Values.settings }}
{{- if kindIs "map" $settings }}
{{- range $name, $value := $settings }}
{{- if and (eq $group "runs") (has $name (list "user" "proxy" "checkpoints")) }}
{{- range $field, $inner := $value }}
- name: HANSA_MEMBER_RUNS__{{ snakecase $name | upper }}__{{ snakecase $field | upper }}
  value: {{ include "hansa.value" $inner }}
{{- end }}
{{- else }}
- name: HANSA_MEMBER_{{ snakecase $group | upper }}__{{ snakecase $name | upper }}
  value: {{ include "hansa.value" $value }}
{{- end }}
{{- end }}
{{- else }}
- name: HANSA_MEMBER_{{ snakecase $group | upper }}
  value: {{ include "hansa.value" $settings }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whole numbers arrive as floats: written out, or 86400000 becomes 8.64e+07. */}}
{{- define "hansa.value" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{ int64 . | toString | quote }}
{{- else if or (kindIs "slice" .) (kindIs "map" .) -}}
{{ toJson . | quote }}
{{- else -}}
{{ toString . | quote }}
{{- end -}}
{{- end }}

{{/* Where this cluster's and the hub's API servers are, and the proxy between. */}}
{{- define "hansa.toServers" -}}
{{- range . }}
- to: {{- range .cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports: {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{/* The way to the hub: its network, or the proxy's. */}}
{{- define "hansa.toHub" -}}
{{- $way := .Values.networkPolicy.hub -}}
{{- with .Values.proxy.url -}}
{{- $port := regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" | default "80" | int -}}
{{- $way = dict "cidrs" $.Values.proxy.cidrs "ports" (list $port) -}}
{{- end -}}
{{ include "hansa.toServers" (list $way) }}
{{- end }}

{{/* What the processes are told besides their settings; proxied: those that speak with the hub. */}}
{{- define "hansa.environment" -}}
{{- if .proxied }}
{{- with .root.Values.proxy.url }}
- {name: HTTPS_PROXY, value: {{ . | quote }}}
- {name: NO_PROXY, value: {{ join "," $.root.Values.proxy.direct | quote }}}
{{- end }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "hansa.exporterSelector" -}}
app.kubernetes.io/name: hansa-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hansa.exporterLabels" -}}
{{ include "hansa.exporterSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hansa
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "hansa.resolverSelector" -}}
app.kubernetes.io/name: hansa-resolver
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hansa.resolverLabels" -}}
{{ include "hansa.resolverSelector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: hansa
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Who makes a run's pods: KubeRay's operator. */}}
{{- define "hansa.kuberay" -}}
system:serviceaccount:{{ .Values.kuberay.namespace }}:{{ .Values.kuberay.serviceAccount }}
{{- end }}

{{/* What does the work, RESOURCE.GROUP each, as hansa/reconcile/workloads.py lists it. */}}
{{- define "hansa.workloads" -}}
[rayjobs.ray.io]
{{- end }}

{{/* The rules of a role with some verbs on each of them. */}}
{{- define "hansa.workloadRules" -}}
{{- range include "hansa.workloads" .root | fromYamlArray }}
{{- $name := splitn "." 2 . }}
- apiGroups: [{{ $name._1 }}]
  resources: [{{ $name._0 }}]
  verbs: {{ toJson $.verbs }}
{{- end }}
{{- end }}
