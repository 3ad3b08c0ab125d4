{{/* Rules of network policies. */}}

{{/* Takes {direction, peers, port}. No peers: no rule, for a rule without peers would let in everybody. */}}
{{- define "qscan.allow" -}}
{{- if .peers -}}
- {{ .direction }}:
    {{- toYaml .peers | nindent 4 }}
  ports:
    - protocol: TCP
      port: {{ .port }}
{{- end -}}
{{- end }}

{{/* Takes {root, direction, names, port}: components of this release. */}}
{{- define "qscan.allowPod" -}}
{{- $root := .root -}}
- {{ .direction }}:
    {{- range .names }}
    - podSelector:
        matchLabels:
          {{- include "qscan.selector" (dict "root" $root "name" .) | nindent 10 }}
    {{- end }}
  ports:
    - protocol: TCP
      port: {{ .port }}
{{- end }}

{{- define "qscan.allowDns" -}}
{{- if .dnsTo -}}
- to:
    {{- toYaml .dnsTo | nindent 4 }}
  ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
{{- end -}}
{{- end }}
