{{/* The METASTORE_ variables, from files/environment.yaml and the values that it names. */}}

{{- define "metastore.variables" -}}
{{ .Files.Get "files/environment.yaml" }}
{{- end }}

{{/* Takes (list root path): the text of the value at a path. */}}
{{- define "metastore.value" -}}
{{- $value := (index . 0).Values -}}
{{- range splitList "." (index . 1) }}{{ $value = index $value . }}{{ end -}}
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
{{ $name }}={{ $text }}
{{- end }}
{{- end }}

{{/* What core alone starts with: its own, a change of which rolls the pod, and what it reads of that file, a change of which does not. */}}
{{- define "metastore.startOfCore" -}}
{{- $core := include "metastore.set" (list . "core") | fromYaml -}}
{{- $run := include "metastore.set" (list . "run") | fromYaml -}}
{{- range $name, $row := (include "metastore.variables" . | fromYaml).variables -}}
{{- if and $row.core (hasKey $run $name) }}{{ $_ := set $core $name (get $run $name) }}{{ end -}}
{{- end -}}
{{- toYaml $core -}}
{{- end }}

{{/* Takes (list root container): the container's variables. Kubernetes lets those of `env` win over all that is loaded, so only what
must be the pod's own is there, and what extraEnvVars adds. */}}
{{- define "metastore.env" -}}
{{- $root := index . 0 -}}
{{- $container := index . 1 -}}
{{- $fullname := include "metastore.fullname" $root -}}
env:
  - name: METASTORE_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
{{- if eq $container "core" }}
  - name: METASTORE_INITIAL_ADVERTISE_PEER_URLS
    value: http://{{ include "metastore.podHost" $root }}:2380
  - name: METASTORE_ADVERTISE_CLIENT_URLS
    value: {{ $root.Values.core.advertiseClientUrls | default (include "metastore.clientUrls" $root) | quote }}
{{- else }}
  - name: METASTORE_ENV_FILE
    value: /etc/metastore/run.env
{{- end }}
{{- with include "metastore.extraVariables" (list $root.Values.extraEnvVars (get $root.Values $container).extraEnvVars) | fromYamlArray }}
  {{- toYaml . | nindent 2 }}
{{- end }}
envFrom:
  - configMapRef:
      name: {{ $fullname | quote }}
{{- if eq $container "core" }}
  - configMapRef:
      name: {{ $fullname }}-core
{{- end }}
{{- with $root.Values.extraEnvVarsCM }}
  - configMapRef:
      name: {{ . | quote }}
{{- end }}
{{- with $root.Values.extraEnvVarsSecret }}
  - secretRef:
      name: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The pod and the client Service. */}}
{{- define "metastore.clientUrls" -}}
http://{{ include "metastore.podHost" . }}:{{ .Values.containerPorts.client }},http://{{ include "metastore.serviceHost" . }}:{{ .Values.service.ports.client }}
{{- end }}

{{/* Takes (list everybodys own): both lists, without what the second has itself. Helm 4 refuses a name that comes twice. */}}
{{- define "metastore.extraVariables" -}}
{{- $variables := list -}}
{{- $own := list -}}
{{- range index . 1 }}{{ $own = append $own .name }}{{ end -}}
{{- range index . 0 -}}
{{- if not (has .name $own) }}{{ $variables = append $variables . }}{{ end -}}
{{- end -}}
{{- concat $variables (index . 1) | toYaml -}}
{{- end }}
