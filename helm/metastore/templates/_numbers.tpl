{{/* Sizes, times and what is computed from them. */}}

{{/* Bytes of a size of ours (64MiB, 2GB) or of Kubernetes (8Gi, 500M). Both mean the same by Gi. */}}
{{- define "metastore.bytes" -}}
{{- $text := include "metastore.text" . -}}
{{- $number := regexFind "^-?[0-9]+(\\.[0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text | trim | lower | trimSuffix "b" -}}
{{- $factors := dict "" 1 "k" 1e3 "m" 1e6 "g" 1e9 "t" 1e12 "p" 1e15
  "ki" 1024 "mi" 1048576 "gi" 1073741824 "ti" 1099511627776 "pi" 1125899906842624 -}}
{{- mulf (float64 $number) (get $factors $unit) | int64 -}}
{{- end }}

{{/* Microseconds of a duration (1h30m). A bare number is 0, or milliseconds where etcd has it so. */}}
{{- define "metastore.microseconds" -}}
{{- $text := include "metastore.text" . -}}
{{- $sum := 0 -}}
{{- if regexMatch "^[0-9]+$" $text }}{{ $sum = mul 1000 (int64 $text) }}{{ end -}}
{{- range regexFindAll "[0-9]+(us|ms|s|m|h)" $text -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $factor := get (dict "us" 1 "ms" 1000 "s" 1000000 "m" 60000000 "h" 3600000000) $unit -}}
{{- $sum = add $sum (mul (int64 (trimSuffix $unit .)) $factor) -}}
{{- end -}}
{{- $sum -}}
{{- end }}

{{- define "metastore.milliseconds" -}}
{{ div (include "metastore.microseconds" . | int64) 1000 }}
{{- end }}

{{/* Takes (list mark size): bytes of a volume of that size, of a mark in percent or in bytes. */}}
{{- define "metastore.share" -}}
{{- $text := include "metastore.text" (index . 0) -}}
{{- if hasSuffix "%" $text -}}
{{- $part := round (mulf (trimSuffix "%" $text | trim | float64) 100) 0 | int64 -}}
{{- mul (div (index . 1 | int64) 10000) $part -}}
{{- else -}}
{{- include "metastore.bytes" $text -}}
{{- end -}}
{{- end }}

{{/* A value as a variable's text. Helm reads whole numbers as floats, which would print as 1e+06. */}}
{{- define "metastore.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ . }}{{ end -}}
{{- end }}

{{- define "metastore.blockCacheBytes" -}}
{{ include "metastore.bytes" (include "metastore.text" .Values.core.blockCacheBytes | default "64MiB") }}
{{- end }}

{{- define "metastore.ballastBytes" -}}
{{ include "metastore.bytes" (include "metastore.text" .Values.core.ballastBytes | default "128MiB") }}
{{- end }}

{{/* What core keeps free by itself: 128 MiB, of a small volume 40 %. */}}
{{- define "metastore.floorBytes" -}}
{{ min 134217728 (div (mul 40 (include "metastore.bytes" .Values.persistence.size | int64)) 100) }}
{{- end }}

{{/* Ten minutes to open a store, and a minute more for each GiB beyond ten, in probes. */}}
{{- define "metastore.startupFailures" -}}
{{- $given := include "metastore.text" .Values.core.startupProbe.failureThreshold -}}
{{- $gib := div (include "metastore.bytes" .Values.persistence.size | int64) 1073741824 -}}
{{- $period := int64 .Values.core.startupProbe.periodSeconds -}}
{{- $given | default (div (add (max 600 (mul 60 $gib)) $period -1) $period) -}}
{{- end }}

{{/* Whether the sidecar is a native one; empty: it is not. */}}
{{- define "metastore.native" -}}
{{- $has := semverCompare ">=1.29-0" .Capabilities.KubeVersion.Version -}}
{{- $asked := toString .Values.sidecar.native -}}
{{- if or (eq $asked "true") (and (eq $asked "auto") $has) }}true{{ end -}}
{{- end }}
