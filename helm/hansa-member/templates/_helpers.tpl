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

{{- define "hansa.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "hansa.account" -}}
system:serviceaccount:{{ .Release.Namespace }}:hansa-member
{{- end }}

{{/* Settings in camelCase as environment variables: limits.clockSkewSeconds is HANSA_MEMBER_LIMITS__CLOCK_SKEW_SECONDS. */}}
{{- define "hansa.settings" -}}
{{- range $group, $settings := .Values.settings }}
{{- if kindIs "map" $settings }}
{{- range $name, $value := $settings }}
- name: HANSA_MEMBER_{{ snakecase $group | upper }}__{{ snakecase $name | upper }}
  value: {{ include "hansa.value" $value }}
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

{{/* The resources of ray.io that do the work, as hansa/reconcile/workloads.py lists them. */}}
{{- define "hansa.workloads" -}}
[rayjobs]
{{- end }}
