{{/* Sizes, times and what is computed from them. */}}

{{/* Bytes of a size of ours (64MiB, 2GB) or of Kubernetes (8Gi, 500M, 1e9, 1500m): rounded up, at most 2^63-1. */}}
{{- define "metastore.bytes" -}}
{{- $text := include "metastore.text" . -}}
{{- $number := regexFind "^[+-]?[0-9.]+([eE][+-]?[0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text | trim -}}
{{/* One letter is Kubernetes', where `m` is a thousandth; ours have two or three, large or small. Both mean the same by Gi. */}}
{{- if ne (len $unit) 1 }}{{ $unit = regexReplaceAll "ib$" (lower $unit) "i" }}{{ end -}}
{{- $factors := dict "" 1 "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
  "b" 1 "B" 1 "kb" 1e3 "mb" 1e6 "gb" 1e9 "tb" 1e12
  "ki" 1024 "mi" 1048576 "gi" 1073741824 "ti" 1099511627776 "pi" 1125899906842624 "ei" 1152921504606846976 -}}
{{- include "metastore.text" (mulf (float64 $number) (get $factors $unit) | ceil) -}}
{{- end }}

{{/* Microseconds of a duration (1h30m). A bare number is 0, or milliseconds where etcd has it so. */}}
{{- define "metastore.microseconds" -}}
{{- $text := include "metastore.text" . -}}
{{- $sum := 0.0 -}}
{{- if regexMatch "^[0-9]+$" $text }}{{ $sum = mulf 1000 (float64 $text) }}{{ end -}}
{{- range regexFindAll "[0-9]+(us|ms|s|m|h)" $text -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $factor := get (dict "us" 1 "ms" 1000 "s" 1000000 "m" 60000000 "h" 3600000000) $unit -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) $factor) -}}
{{- end -}}
{{- include "metastore.text" $sum -}}
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

{{/* A value as a text. Helm reads whole numbers as floats, which would print as 1e+06, and 2^63-1 as one more. */}}
{{- define "metastore.text" -}}
{{- if kindIs "invalid" . }}
{{- else if not (kindIs "float64" .) }}{{ . }}
{{- else if ge . 9223372036854775807.0 }}9223372036854775807
{{- else if eq . (floor .) }}{{ int64 . }}
{{- else }}{{ . }}
{{- end -}}
{{- end }}

{{- define "metastore.blockCacheBytes" -}}
{{ include "metastore.bytes" (include "metastore.text" .Values.core.blockCacheBytes | default "64MiB") }}
{{- end }}

{{- define "metastore.ballastBytes" -}}
{{ include "metastore.bytes" (include "metastore.text" .Values.core.ballastBytes | default "128MiB") }}
{{- end }}

{{/* What core keeps free by itself: 128 MiB, of a small volume 40 %. */}}
{{- define "metastore.floorBytes" -}}
{{ min 134217728 (mul 2 (div (include "metastore.bytes" .Values.persistence.size | int64) 5)) }}
{{- end }}

{{/* Ten minutes to open a store, and a minute more for each GiB beyond ten, in probes; at most as many as Kubernetes counts. */}}
{{- define "metastore.startupFailures" -}}
{{- $given := include "metastore.text" .Values.core.startupProbe.failureThreshold -}}
{{- $gib := div (include "metastore.bytes" .Values.persistence.size | int64) 1073741824 -}}
{{- $period := int64 .Values.core.startupProbe.periodSeconds -}}
{{- $given | default (min 2147483647 (div (add (max 600 (mul 60 $gib)) $period -1) $period)) -}}
{{- end }}

{{/* Whether the sidecar is a native one; empty: it is not. */}}
{{- define "metastore.native" -}}
{{- $has := semverCompare ">=1.29-0" .Capabilities.KubeVersion.Version -}}
{{- $asked := toString .Values.sidecar.native -}}
{{- if or (eq $asked "true") (and (eq $asked "auto") $has) }}true{{ end -}}
{{- end }}
