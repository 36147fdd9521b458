{{/* The METASTORE_ variables, from files/environment.yaml and the values that it names. */}}

{{- define "metastore.variables" -}}
{{ .Files.Get "files/environment.yaml" }}
{{- end }}

{{/* Takes (list root path): the text of the value at a path. */}}
{{- define "metastore.value" -}}
{{- $value := (index . 0).Values -}}
{{- range splitList "." (index . 1) }}{{ $value = get (default (dict) $value) . }}{{ end -}}
{{- include "metastore.text" $value -}}
{{- end }}

{{/* Takes (list root into): a map from name to text of the variables that go there and are set. */}}
{{- define "metastore.set" -}}
{{- $root := index . 0 -}}
{{- $into := index . 1 -}}
{{- $set := dict -}}
{{- range $name, $row := (include "metastore.variables" $root | fromYaml).variables -}}
{{- if eq (default "" $row.into) $into -}}
{{- with include "metastore.value" (list $root $row.value) }}{{ $_ := set $set $name . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml $set -}}
{{- end }}

{{/* What both containers start with: a change rolls the pod. */}}
{{- define "metastore.start" -}}
{{- $chart := dict
  "METASTORE_DATA_DIR" (printf "%s/data" (trimSuffix "/" .Values.persistence.mountPath))
  "METASTORE_LISTEN_CLIENT_URLS" (printf "http://%s:%s" .Values.core.listenHost (include "metastore.text" .Values.containerPorts.client))
  "METASTORE_SIDECAR_LISTEN" (printf "[::]:%s" (include "metastore.text" .Values.containerPorts.sidecar)) -}}
{{/* A directory of the node is shared with the node. */}}
{{- if or .Values.persistence.sharedFilesystem (not .Values.persistence.enabled) -}}
{{- $_ := set $chart "METASTORE_DISK_CAPACITY_BYTES" (include "metastore.bytes" .Values.persistence.size) -}}
{{- end -}}
{{- toYaml (merge $chart (include "metastore.set" (list . "start") | fromYaml)) -}}
{{- end }}

{{/* The file that the sidecar reads again by itself. */}}
{{- define "metastore.run" -}}
{{- $run := include "metastore.set" (list . "run") | fromYaml -}}
{{- with .Values.sidecar.logLevel | default .Values.logLevel }}{{ $_ := set $run "METASTORE_LOG_LEVEL" . }}{{ end -}}
# What the sidecar takes over while it runs.
{{- range $name, $text := $run }}
{{ $name }}={{ include "metastore.text" $text }}
{{- end }}
{{- end }}

{{/* What core has of it, each in a key of its own. */}}
{{- define "metastore.runOfCore" -}}
{{- $run := include "metastore.set" (list . "run") | fromYaml -}}
{{- range $name, $row := (include "metastore.variables" . | fromYaml).variables -}}
{{- if not $row.core }}{{ $run = omit $run $name }}{{ end -}}
{{- end -}}
{{- toYaml $run -}}
{{- end }}

{{/* Takes (list root container): the container's own variables, then those of everybody. */}}
{{- define "metastore.env" -}}
{{- $root := index . 0 -}}
{{- $container := index . 1 -}}
env:
  - name: METASTORE_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
{{- if eq $container "core" }}
{{- $client := include "metastore.text" $root.Values.containerPorts.client }}
{{- $set := include "metastore.set" (list $root "core") | fromYaml }}
  - name: METASTORE_INITIAL_ADVERTISE_PEER_URLS
    value: http://{{ include "metastore.podHost" $root }}:2380
{{- if not $set.METASTORE_ADVERTISE_CLIENT_URLS }}
  - name: METASTORE_ADVERTISE_CLIENT_URLS
    value: http://{{ include "metastore.podHost" $root }}:{{ $client }},http://{{ include "metastore.serviceHost" $root }}:{{ include "metastore.text" $root.Values.service.ports.client }}
{{- end }}
{{- range $name, $text := $set }}
  - name: {{ $name }}
    value: {{ include "metastore.text" $text | quote }}
{{- end }}
{{- /* Named here and set there, if at all: a change of it does not change the pod. */}}
{{- range $name, $row := (include "metastore.variables" $root | fromYaml).variables }}
{{- if $row.core }}
  - name: {{ $name }}
    valueFrom:
      configMapKeyRef:
        name: {{ include "metastore.fullname" $root }}-run
        key: {{ $name }}
        optional: true
{{- end }}
{{- end }}
{{- else }}
  - name: METASTORE_ENV_FILE
    value: /etc/metastore/run.env
{{- end }}
{{- with concat (default list $root.Values.extraEnvVars) (default list (get $root.Values $container).extraEnvVars) }}
  {{- toYaml . | nindent 2 }}
{{- end }}
envFrom:
  - configMapRef:
      name: {{ include "metastore.fullname" $root }}
{{- with $root.Values.extraEnvVarsCM }}
  - configMapRef:
      name: {{ . }}
{{- end }}
{{- with $root.Values.extraEnvVarsSecret }}
  - secretRef:
      name: {{ . }}
{{- end }}
{{- end }}
