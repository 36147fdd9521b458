{{/* What objects are called, and the labels that find them. */}}

{{/* Short enough that what Kubernetes appends (a revision's hash, `-headless`) fits into 63 bytes. */}}
{{- define "metastore.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $release := replace "." "-" .Release.Name -}}
{{- $both := ternary $release (printf "%s-%s" $release $chart) (contains $chart $release) -}}
{{- default $both .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{- define "metastore.headless" -}}
{{ include "metastore.fullname" . }}-headless
{{- end }}

{{- define "metastore.namespace" -}}
{{ default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "metastore.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "metastore.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* The pod's own name in DNS, for any ordinal. */}}
{{- define "metastore.podHost" -}}
$(METASTORE_NAME).{{ include "metastore.headless" . }}.{{ include "metastore.namespace" . }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- define "metastore.serviceHost" -}}
{{ include "metastore.fullname" . }}.{{ include "metastore.namespace" . }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{/* Selectors and claim templates never change: nothing may be added here. */}}
{{- define "metastore.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: member
{{- end }}

{{/* Takes (list root component labels): the labels of an object, ours first. */}}
{{- define "metastore.labels" -}}
{{- $root := index . 0 -}}
{{- $labels := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63)
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/part-of" "metastore" -}}
{{- $labels = merge (include "metastore.selector" $root | fromYaml) $labels -}}
{{- $_ := set $labels "app.kubernetes.io/component" (index . 1) -}}
{{- toYaml (merge $labels (index . 2) $root.Values.commonLabels) -}}
{{- end }}

{{/* Takes (list root name component annotations labels): the metadata of an object. */}}
{{- define "metastore.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 | quote }}
namespace: {{ include "metastore.namespace" $root | quote }}
labels:
  {{- include "metastore.labels" (list $root (index . 2) (index . 4)) | nindent 2 }}
{{- with merge (dict) (index . 3) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Takes (list root image default-tag): the whole name of an image. */}}
{{- define "metastore.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := coalesce $root.Values.global.imageRegistry $image.registry $root.Values.image.registry -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end }}{{ $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}{{ with coalesce $image.tag (index . 2) }}:{{ . }}{{ end }}{{ end -}}
{{- end }}

{{/* Other charts have objects in `global` where we have names. */}}
{{- define "metastore.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.image.pullSecrets -}}
{{- if kindIs "map" . }}{{ $names = append $names .name }}{{ else }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- with uniq $names -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}
