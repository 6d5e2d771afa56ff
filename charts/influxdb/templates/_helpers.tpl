{{- define "influxdb.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "influxdb.selector" -}}
app.kubernetes.io/name: influxdb
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "influxdb.labels" -}}
{{ include "influxdb.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "influxdb.secretName" -}}
{{- default .Values.auth.secretName .Values.auth.existingSecret -}}
{{- end -}}
