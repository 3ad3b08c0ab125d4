{{/* Names and labels. Most definitions take {root, name}: the chart's top level and the component. */}}

{{/* Prefix of all names: the release's own, which holds the chart's name. Short enough for what is appended. */}}
{{- define "qscan.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "qscan.name" -}}
{{- printf "%s-%s" (include "qscan.fullname" .root) .name -}}
{{- end }}

{{/* What a selector asks for: never changes over the life of a release. */}}
{{- define "qscan.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "qscan.labels" -}}
{{ include "qscan.selector" . }}
app.kubernetes.io/part-of: qscan
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "qscan.metadata" -}}
name: {{ include "qscan.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "qscan.labels" . | nindent 2 }}
{{- end }}

{{/* The key of a service in the values: av-gateway → avGateway. */}}
{{- define "qscan.key" -}}
{{- if eq . "av-gateway" }}avGateway{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* The image of one of our services. */}}
{{- define "qscan.image" -}}
{{- $image := .root.Values.image -}}
{{- $digest := (index .root.Values (include "qscan.key" .name)).digest -}}
{{- if $image.registry }}{{ trimSuffix "/" $image.registry }}/{{ end -}}
qscan-{{ .name }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- if $digest }}@{{ $digest }}{{ end -}}
{{- end }}

{{/* An image of somebody else: takes {repository, tag, digest}. */}}
{{- define "qscan.foreignImage" -}}
{{ .repository }}:{{ .tag }}{{ if .digest }}@{{ .digest }}{{ end -}}
{{- end }}

{{- define "qscan.natsSecret" -}}
{{- .Values.nats.existingSecret | default (include "qscan.name" (dict "root" . "name" "nats")) -}}
{{- end }}

{{- define "qscan.tokenSecret" -}}
{{- .Values.token.existingSecret | default (include "qscan.name" (dict "root" . "name" "token")) -}}
{{- end }}

{{- define "qscan.natsUrls" -}}
{{- if .Values.nats.external.urls -}}
{{- join "," .Values.nats.external.urls -}}
{{- else -}}
nats://{{ include "qscan.name" (dict "root" . "name" "nats") }}:4222
{{- end -}}
{{- end }}

{{/* Every clamd by a name of its own. Behind one name the gateway could not prove each of them. */}}
{{- define "qscan.clamdAddresses" -}}
{{- if .Values.clamd.externalAddresses -}}
{{- join "," .Values.clamd.externalAddresses -}}
{{- else -}}
{{- $name := include "qscan.name" (dict "root" . "name" "clamd") -}}
{{- range $index := until (int .Values.clamd.replicas) -}}
{{- if $index }},{{ end }}tcp:{{ $name }}-{{ $index }}.{{ $name }}:3310
{{- end -}}
{{- end -}}
{{- end }}

{{- define "qscan.spamdAddress" -}}
{{- if .Values.spamd.externalAddress -}}
{{- .Values.spamd.externalAddress -}}
{{- else -}}
{{ include "qscan.name" (dict "root" . "name" "spamd") }}:1783
{{- end -}}
{{- end }}

{{/* A host as it stands before a port. */}}
{{- define "qscan.bracketed" -}}
{{- if contains ":" . }}[{{ . }}]{{ else }}{{ . }}{{ end -}}
{{- end }}

{{/* Replaces what must be there: takes {text, old, new}. The files are generated, and may one day say it otherwise. */}}
{{- define "qscan.replaced" -}}
{{- if not (contains .old .text) -}}
{{- fail (printf "%q is not in the generated file: correct the chart" .old) -}}
{{- end -}}
{{- replace .old .new .text -}}
{{- end }}

{{- define "qscan.natsConfig" -}}
{{- $host := .Values.listenHost -}}
{{- $text := .Files.Get "files/nats-server.conf" -}}
{{- $text = include "qscan.replaced" (dict "text" $text "old" "host: \"0.0.0.0\"" "new" (printf "host: %q" $host)) -}}
{{- $http := printf "http: \"%s:8222\"" (include "qscan.bracketed" $host) -}}
{{- $text = include "qscan.replaced" (dict "text" $text "old" "http: \"0.0.0.0:8222\"" "new" $http) -}}
{{- $bound := printf "max_file_store: %d" (int64 .Values.nats.maxFileStoreBytes) -}}
{{- include "qscan.replaced" (dict "text" $text "old" "max_file_store: 10737418240" "new" $bound) -}}
{{- end }}

{{- define "qscan.clamdConfig" -}}
{{- $new := printf "TCPAddr %s" .Values.listenHost -}}
{{- include "qscan.replaced" (dict "text" (.Files.Get "files/clamd.conf") "old" "TCPAddr 0.0.0.0" "new" $new) -}}
{{- end }}
