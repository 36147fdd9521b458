{{/* What cannot work is refused before anything is installed: every reason at once, a sentence each. */}}

{{- define "metastore.refuse" -}}
{{- $reasons := concat
  (include "metastore.refuseMembers" . | fromYamlArray)
  (include "metastore.refuseRooms" . | fromYamlArray)
  (include "metastore.refuseTimes" . | fromYamlArray)
  (include "metastore.refuseVariables" . | fromYamlArray) -}}
{{- if $reasons }}{{ fail (printf "\n\n- %s\n" (join "\n- " $reasons)) }}{{ end -}}
{{- end }}

{{/* What the cluster or this version does not have. */}}
{{- define "metastore.refuseMembers" -}}
{{- $values := .Values -}}
{{- $no := list -}}
{{- if ne (int $values.replicaCount) 1 -}}
{{- $no = append $no (printf "replicaCount is %d: this version runs exactly one member; it does not replicate yet" (int $values.replicaCount)) -}}
{{- end -}}
{{- if and (eq (toString $values.sidecar.native) "true") (semverCompare "<1.29-0" .Capabilities.KubeVersion.Version) -}}
{{- $no = append $no (printf "sidecar.native is true: Kubernetes %s has no native sidecars, 1.29 has; auto takes what there is" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if eq (int $values.containerPorts.client) (int $values.containerPorts.sidecar) -}}
{{- $no = append $no (printf "containerPorts.client and containerPorts.sidecar are both %d: the containers share their ports" (int $values.containerPorts.client)) -}}
{{- end -}}
{{- if and $values.metrics.podMonitor.enabled $values.metrics.serviceMonitor.enabled -}}
{{- $no = append $no "metrics.podMonitor and metrics.serviceMonitor are both enabled: every series would be stored twice" -}}
{{- end -}}
{{- if and $values.persistence.existingClaim (not $values.persistence.enabled) -}}
{{- $no = append $no (printf "persistence.existingClaim is %s but persistence.enabled is false: the claim would not be used" $values.persistence.existingClaim) -}}
{{- end -}}
{{- toYaml $no -}}
{{- end }}

{{/* Memory, disk and paths. */}}
{{- define "metastore.refuseRooms" -}}
{{- $values := .Values -}}
{{- $no := list -}}
{{- $size := include "metastore.bytes" $values.persistence.size | int64 -}}
{{- $quota := include "metastore.text" $values.core.quotaBackendBytes -}}
{{- if and $quota (gt (include "metastore.bytes" $quota | int64) $size) -}}
{{- $no = append $no (printf "core.quotaBackendBytes is %s: more than the volume, whose persistence.size is %s" $quota $values.persistence.size) -}}
{{- end -}}
{{/* Empty without a cluster, as in `helm template`: then Kubernetes itself refuses, in its own words. */}}
{{- $installed := lookup "apps/v1" "StatefulSet" (include "metastore.namespace" .) (include "metastore.fullname" .) | default dict -}}
{{- range dig "spec" "volumeClaimTemplates" list $installed -}}
{{- $was := .spec.resources.requests.storage -}}
{{- $is := coalesce $values.persistence.claimTemplateSize $values.persistence.size -}}
{{- if and (eq .metadata.name "data") (ne (include "metastore.bytes" $was) (include "metastore.bytes" $is)) -}}
{{- $no = append $no (printf "persistence.size is %s, and the claim template of the StatefulSet has %s, which cannot change: expand the claim itself and set persistence.claimTemplateSize to %s" (toString $is) $was $was) -}}
{{- end -}}
{{- end -}}
{{- $reserve := add (include "metastore.ballastBytes" . | int64) (include "metastore.floorBytes" . | int64) -}}
{{- if le $size $reserve -}}
{{- $no = append $no (printf "persistence.size is %s: core's ballast and what it keeps free take %d MiB, which leaves nothing for data" $values.persistence.size (div $reserve 1048576)) -}}
{{- end -}}
{{- with dig "limits" "memory" "" $values.core.resources -}}
{{- $need := add (include "metastore.blockCacheBytes" $ | int64) 67108864 -}}
{{- if lt (include "metastore.bytes" . | int64) $need -}}
{{- $no = append $no (printf "core.resources.limits.memory is %s: below the block cache and the 64 MiB that core itself needs, together %d MiB" (toString .) (div $need 1048576)) -}}
{{- end -}}
{{- end -}}
{{- if gt (len $values.adminSocket) 107 -}}
{{- $no = append $no (printf "adminSocket has %d bytes: the path of a Unix socket has at most 107" (len $values.adminSocket)) -}}
{{- end -}}
{{- $mount := printf "%s/" (trimSuffix "/" $values.persistence.mountPath) -}}
{{- if or (hasPrefix "/run/" $mount) (hasPrefix "/var/run/" $mount) -}}
{{- $no = append $no (printf "persistence.mountPath is %s: the sidecar cannot measure a file system below /run" $values.persistence.mountPath) -}}
{{- end -}}
{{- $socketDir := printf "%s/" (dir $values.adminSocket) -}}
{{- if or (hasPrefix $mount $socketDir) (hasPrefix $socketDir $mount) -}}
{{- $no = append $no (printf "adminSocket is %s and persistence.mountPath is %s: the socket needs a volume of its own, which the sidecar may write" $values.adminSocket $values.persistence.mountPath) -}}
{{- end -}}
{{- toYaml $no -}}
{{- end }}

{{/* Times that must fit into each other. */}}
{{- define "metastore.refuseTimes" -}}
{{- $values := .Values -}}
{{- $no := list -}}
{{- $grace := int $values.terminationGracePeriodSeconds -}}
{{- $drain := include "metastore.milliseconds" (include "metastore.text" $values.core.shutdownGrace | default "10s") | int64 -}}
{{- $stop := add (int $values.core.preStopSeconds) (div (add $drain 999) 1000) 5 -}}
{{- if gt $stop (int64 $grace) -}}
{{- $no = append $no (printf "terminationGracePeriodSeconds is %d: core.preStopSeconds, core.shutdownGrace and 5 s for the last sync take %d" $grace $stop) -}}
{{- end -}}
{{- $linger := include "metastore.milliseconds" (include "metastore.text" $values.sidecar.shutdownGrace | default "25s") | int64 -}}
{{- if ge $linger (mul $grace 1000) -}}
{{- $no = append $no (printf "sidecar.shutdownGrace is not below terminationGracePeriodSeconds, which is %d: the sidecar would be killed" $grace) -}}
{{- end -}}
{{- $heartbeat := include "metastore.milliseconds" (include "metastore.text" $values.core.heartbeatInterval | default "100ms") | int64 -}}
{{- $election := include "metastore.milliseconds" (include "metastore.text" $values.core.electionTimeout | default "1000ms") | int64 -}}
{{- if lt $election (mul 5 $heartbeat) -}}
{{- $no = append $no (printf "core.electionTimeout is %d ms: it needs at least five times core.heartbeatInterval, which is %d ms" $election $heartbeat) -}}
{{- end -}}
{{- $observe := include "metastore.milliseconds" (include "metastore.text" $values.sidecar.observeInterval | default "1s") | int64 -}}
{{- $age := include "metastore.milliseconds" (include "metastore.text" $values.sidecar.observationMaxAge | default "2500ms") | int64 -}}
{{- if lt $age (mul 2 $observe) -}}
{{- $no = append $no (printf "sidecar.observationMaxAge is %d ms: it needs at least twice sidecar.observeInterval, which is %d ms" $age $observe) -}}
{{- end -}}
{{- $budget := mul (int $values.core.livenessProbe.periodSeconds) (int $values.core.livenessProbe.failureThreshold) -}}
{{- if and (eq $values.core.liveness "sidecar") (lt $budget 90) -}}
{{- $no = append $no (printf "core.liveness is sidecar and core.livenessProbe allows %d s: a sidecar that restarts a few times takes 90, and core would be killed with it" $budget) -}}
{{- end -}}
{{- toYaml $no -}}
{{- end }}

{{/* Variables that nobody knows, or that a value or the chart sets. */}}
{{- define "metastore.refuseVariables" -}}
{{- $known := include "metastore.variables" . | fromYaml -}}
{{- $no := list -}}
{{- $given := dict "extraEnvVars" .Values.extraEnvVars
  "core.extraEnvVars" .Values.core.extraEnvVars "sidecar.extraEnvVars" .Values.sidecar.extraEnvVars -}}
{{- range $where, $variables := $given -}}
{{- range $variables -}}
{{- $row := index $known.variables .name -}}
{{- if and (not (hasPrefix "METASTORE_" .name)) (hasPrefix "METASTORE_" (upper .name)) -}}
{{- $no = append $no (printf "%s: %s is not a variable that metastore reads: names are in upper case" $where .name) -}}
{{- else if and (hasPrefix "METASTORE_" .name) (not $row) (not (has .name $known.ignored)) -}}
{{- $no = append $no (printf "%s: %s is not a variable of metastore: docs/configuration.md has their names" $where .name) -}}
{{- else if and $row $row.value -}}
{{- $no = append $no (printf "%s: %s has a value of its own: set %s" $where .name $row.value) -}}
{{- else if $row -}}
{{- $no = append $no (printf "%s: %s is the chart's: %s" $where .name $row.chart) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $no -}}
{{- end }}
