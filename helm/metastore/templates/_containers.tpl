{{/* The two containers. Probes act on the container they stand in, and core's ask the sidecar's port. */}}

{{- define "metastore.core" -}}
{{- $probes := include "metastore.text" .Values.containerPorts.sidecar -}}
name: core
image: {{ include "metastore.image" (list . .Values.core.image (default .Chart.AppVersion .Values.image.tag)) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with include "metastore.containerSecurity" . }}{{ nindent 0 . }}{{ end }}
{{ include "metastore.env" (list . "core") }}
ports:
  - name: client
    containerPort: {{ .Values.containerPorts.client }}
startupProbe:
  httpGet:
    path: /startup
    port: {{ $probes }}
  periodSeconds: {{ include "metastore.text" .Values.core.startupProbe.periodSeconds }}
  timeoutSeconds: {{ include "metastore.text" .Values.core.startupProbe.timeoutSeconds }}
  failureThreshold: {{ include "metastore.startupFailures" . }}
readinessProbe:
  httpGet:
    path: /readiness
    port: {{ $probes }}
  {{- toYaml .Values.core.readinessProbe | nindent 2 }}
{{- if ne .Values.core.liveness "disabled" }}
livenessProbe:
  {{- if eq .Values.core.liveness "exec" }}
  exec:
    command: [/usr/local/bin/metastore-core, probe, live]
  {{- else }}
  httpGet:
    path: /liveness
    port: {{ $probes }}
  {{- end }}
  {{- toYaml .Values.core.livenessProbe | nindent 2 }}
{{- end }}
{{- if .Values.core.preStopSeconds }}
lifecycle:
  preStop:
    exec:
      command: [/usr/local/bin/metastore-core, prestop, {{ include "metastore.text" .Values.core.preStopSeconds | quote }}]
{{- end }}
{{- with .Values.core.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: data
    mountPath: {{ .Values.persistence.mountPath }}
  - name: admin
    mountPath: {{ dir .Values.adminSocket }}
  - name: tmp
    mountPath: /tmp
{{- with .Values.core.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Its own probes ask about itself only: a dead core must not restart the sidecar. */}}
{{- define "metastore.sidecar" -}}
{{- $port := include "metastore.text" .Values.containerPorts.sidecar -}}
name: sidecar
image: {{ include "metastore.image" (list . .Values.sidecar.image (default .Chart.AppVersion .Values.image.tag)) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if include "metastore.native" . }}
restartPolicy: Always
{{- end }}
{{- with include "metastore.containerSecurity" . }}{{ nindent 0 . }}{{ end }}
{{ include "metastore.env" (list . "sidecar") }}
ports:
  - name: sidecar
    containerPort: {{ $port }}
startupProbe:
  httpGet:
    path: /sidecar/livez
    port: {{ $port }}
  {{- toYaml .Values.sidecar.startupProbe | nindent 2 }}
livenessProbe:
  httpGet:
    path: /sidecar/livez
    port: {{ $port }}
  {{- toYaml .Values.sidecar.livenessProbe | nindent 2 }}
{{- with .Values.sidecar.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: data
    mountPath: {{ .Values.persistence.mountPath }}
    readOnly: true
  - name: admin
    mountPath: {{ dir .Values.adminSocket }}
  - name: run
    mountPath: /etc/metastore
    readOnly: true
  - name: tmp
    mountPath: /tmp
{{- end }}

{{- define "metastore.containerSecurity" -}}
{{- if .Values.containerSecurityContext.enabled -}}
securityContext:
  {{- omit .Values.containerSecurityContext "enabled" | toYaml | nindent 2 }}
{{- end }}
{{- end }}
