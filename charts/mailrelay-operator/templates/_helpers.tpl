{{- define "mailrelay.labels" -}}
app.kubernetes.io/name: mailrelay-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "mailrelay.selector" -}}
app.kubernetes.io/name: mailrelay-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mailrelay.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:mailrelay-operator
{{- end }}
