{{/* What all pods and containers have in common. Most definitions take {root, name}. */}}

{{/* No labels that change with the chart: an upgrade would start clamd anew for nothing. */}}
{{- define "qscan.podMetadata" -}}
labels:
  {{- include "qscan.selector" . | nindent 2 }}
  {{- with .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := merge (dict) (.annotations | default dict) .root.Values.podAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes {root, name, user, group}: who runs in the pod, 10001 as in deploy/docker if left out. */}}
{{- define "qscan.podSpec" -}}
serviceAccountName: {{ include "qscan.fullname" .root }}
automountServiceAccountToken: false
# Kubernetes would put QSCAN_UNPACKER_SERVICE_HOST and the like into every container, and the services refuse to
# start with settings that they do not know.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user | default 10001 }}
  runAsGroup: {{ .group | default 10001 }}
  fsGroup: {{ .group | default 10001 }}
  fsGroupChangePolicy: OnRootMismatch
  # The unpacker's sandbox needs no more than this: the default profiles let a process filter its own system calls
  # further, and forbid itself new rights, without a capability.
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "qscan.selector" . | nindent 8 }}
{{- end }}

{{- define "qscan.confined" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  privileged: false
  readOnlyRootFilesystem: true
{{- end }}

{{/* A value as text for the environment. Large numbers would come out as 1e+08 otherwise. */}}
{{- define "qscan.asText" -}}
{{- if kindIs "string" . }}{{ . | quote }}{{ else }}{{ toJson . | quote }}{{ end -}}
{{- end }}

{{/* Everything of a container of ours that does not differ: takes {root, name, env, mounts}; env is a dict of the
settings that the chart sets, mounts a list. */}}
{{- define "qscan.container" -}}
{{- $values := index .root.Values (include "qscan.key" .name) -}}
{{- $prefix := printf "QSCAN_%s" (.name | upper | replace "-" "_") -}}
{{- $isUnpacker := eq .name "unpacker" -}}
{{- $port := ternary 8080 8081 $isUnpacker -}}
{{- $wired := dict "nats_urls" (include "qscan.natsUrls" .root) -}}
{{- $_ := set $wired (ternary "http_host" "health_host" $isUnpacker) .root.Values.listenHost -}}
{{- $_ := set $wired (ternary "http_port" "health_port" $isUnpacker) $port -}}
{{- with .root.Values.tracing.endpoint -}}
{{- $_ := set $wired "trace_endpoint" . -}}
{{- end -}}
{{- $common := dict "log_level" .root.Values.logLevel "trace_ratio" .root.Values.tracing.ratio -}}
{{- $env := merge $wired (.env | default dict) $values.settings $common -}}
name: {{ .name }}
image: {{ include "qscan.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{ include "qscan.confined" . }}
env:
  - name: {{ $prefix }}_NATS_PASSWORD
    valueFrom:
      secretKeyRef:
        name: {{ include "qscan.natsSecret" .root }}
        key: {{ .name }}
  {{- range $name, $value := $env }}
  - name: {{ $prefix }}_{{ upper $name }}
    value: {{ include "qscan.asText" $value }}
  {{- end }}
ports:
  - name: http
    containerPort: {{ $port }}
# Alive is whose loop turns; a peer that is away must restart nobody. Before NATS is there some have no page yet.
startupProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 120
livenessProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
# Ready is who can do his work; his checks take 5 s at most.
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 10
  timeoutSeconds: 7
  failureThreshold: 2
resources:
  {{- toYaml $values.resources | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with .mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "qscan.tmpVolume" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .size | default "64Mi" }}
{{- end }}

{{/* No gap while a Deployment is changed. */}}
{{- define "qscan.rolling" -}}
strategy:
  type: RollingUpdate
  rollingUpdate:
    maxSurge: 1
    maxUnavailable: 0
{{- end }}
