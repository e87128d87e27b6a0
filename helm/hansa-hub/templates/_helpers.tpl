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

{{- define "hansa.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Chart.AppVersion }}
{{- end -}}
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
