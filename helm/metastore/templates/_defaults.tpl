{{/* Helm forgets the default of a key that is left empty: `networkPolicy:` would be no policy, in silence. Every template begins with
this, by which what is missing in the values is as files/defaults.yaml has it. */}}
{{- define "metastore.defaults" -}}
{{- range $path, $default := .Files.Get "files/defaults.yaml" | fromYaml -}}
{{- $keys := splitList "." $path -}}
{{- $group := $.Values -}}
{{- range initial $keys -}}
{{- if kindIs "invalid" (index $group .) }}{{ $_ := set $group . dict }}{{ end -}}
{{- $group = index $group . -}}
{{- end -}}
{{- if kindIs "invalid" (index $group (last $keys)) }}{{ $_ := set $group (last $keys) $default }}{{ end -}}
{{- end -}}
{{- end }}
