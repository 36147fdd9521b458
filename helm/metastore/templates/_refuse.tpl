{{/* What cannot work is refused before anything is installed: every reason at once, a sentence each. */}}

{{- define "metastore.refuse" -}}
{{- $reasons := concat
  (include "metastore.refuseMembers" . | fromYamlArray)
  (include "metastore.refuseRooms" . | fromYamlArray)
  (include "metastore.refuseMarks" . | fromYamlArray)
  (include "metastore.refuseTimes" . | fromYamlArray)
  (include "metastore.refuseRanges" . | fromYamlArray)
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
{{- if eq $values.persistentVolumeClaimRetentionPolicy.whenScaled "Delete" -}}
{{- $no = append $no "persistentVolumeClaimRetentionPolicy.whenScaled is Delete: one member is scaled down only to repair it, and its data would be deleted" -}}
{{- end -}}
{{- $fullname := include "metastore.fullname" . -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $fullname) -}}
{{- $no = append $no (printf "objects would be called %s: the name of a Service has small letters, digits and hyphens; set fullnameOverride" $fullname) -}}
{{- end -}}
{{- $urls := $values.core.advertiseClientUrls -}}
{{- $port := "0*([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])" -}}
{{- $url := printf "(?i:http)://([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\]):%s/?" $port -}}
{{- if not (regexMatch (printf "^([\\s,]*%s(\\s*,[\\s,]*%s)*[\\s,]*)?$" $url $url) $urls) -}}
{{- $no = append $no "core.advertiseClientUrls: each is http://host:port, with commas between them; there is no TLS yet, and no user" -}}
{{- else if regexMatch "://(0\\.0\\.0\\.0|\\[[0:.]+\\]):" $urls -}}
{{- $no = append $no (printf "core.advertiseClientUrls is %s: nobody can connect to an address that means every address" $urls) -}}
{{- end -}}
{{- if eq (int $values.containerPorts.client) (int $values.containerPorts.sidecar) -}}
{{- $no = append $no (printf "containerPorts.client and containerPorts.sidecar are both %d: the containers share their ports" (int $values.containerPorts.client)) -}}
{{- end -}}
{{- if and $values.metrics.podMonitor.enabled $values.metrics.serviceMonitor.enabled -}}
{{- $no = append $no "metrics.podMonitor and metrics.serviceMonitor are both enabled: every series would be stored twice" -}}
{{- end -}}
{{- range $name, $monitor := pick $values.metrics "podMonitor" "serviceMonitor" -}}
{{- if and $monitor.enabled $monitor.interval (gt (include "metastore.microseconds" $monitor.scrapeTimeout | int64) (include "metastore.microseconds" $monitor.interval | int64)) -}}
{{- $no = append $no (printf "metrics.%s.scrapeTimeout is %s: longer than its interval, which is %s: the Prometheus operator would leave it out" $name $monitor.scrapeTimeout $monitor.interval) -}}
{{- end -}}
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
{{- $asked := include "metastore.text" $values.persistence.size -}}
{{- $quota := include "metastore.text" $values.core.quotaBackendBytes -}}
{{- if and $quota (gt (include "metastore.bytes" $quota | int64) $size) -}}
{{- $no = append $no (printf "core.quotaBackendBytes is %s: more than the volume, whose persistence.size is %s" $quota $asked) -}}
{{/* A file system keeps some of its volume for itself: the sidecar sees what it has, and ends with 64. */}}
{{- else if and $quota $values.persistence.enabled (not $values.persistence.sharedFilesystem) (gt (include "metastore.bytes" $quota | int64) (mul 95 (div $size 100))) -}}
{{- $no = append $no (printf "core.quotaBackendBytes is %s: more than 95 %% of persistence.size, which is %s, and the file system itself takes some" $quota $asked) -}}
{{- end -}}
{{- $request := include "metastore.bytes" (include "metastore.text" $values.core.maxRequestBytes | default "1572864") | int64 -}}
{{- if and $quota (gt (include "metastore.bytes" $quota | int64) 0) (le (include "metastore.bytes" $quota | int64) $request) -}}
{{- $no = append $no (printf "core.quotaBackendBytes is %s: not more than one request, core.maxRequestBytes, may have, which is %d" $quota $request) -}}
{{- end -}}
{{/* Empty without a cluster, as in `helm template`: then Kubernetes itself refuses, in its own words. */}}
{{- $installed := lookup "apps/v1" "StatefulSet" (include "metastore.namespace" .) (include "metastore.fullname" .) | default dict -}}
{{- range dig "spec" "volumeClaimTemplates" list $installed -}}
{{- $was := .spec.resources.requests.storage -}}
{{- $is := coalesce $values.persistence.claimTemplateSize $values.persistence.size | include "metastore.text" -}}
{{- if and (eq .metadata.name "data") (ne (include "metastore.bytes" $was) (include "metastore.bytes" $is)) -}}
{{- $no = append $no (printf "persistence.size is %s, and the claim template of the StatefulSet has %s, which cannot change: expand the claim itself and set persistence.claimTemplateSize to %s" $is $was $was) -}}
{{- end -}}
{{- end -}}
{{/* Sums of what may be 2^63-1 would be negative: differences are compared. */}}
{{- $ballast := include "metastore.ballastBytes" . | int64 -}}
{{- $floor := include "metastore.floorBytes" . | int64 -}}
{{- if le (sub $size $floor) $ballast -}}
{{- $no = append $no (printf "persistence.size is %s: core's ballast and what it keeps free take %d MiB, which leaves nothing for data" $asked (add (div $ballast 1048576) (div $floor 1048576))) -}}
{{- end -}}
{{/* Core's own rule (core/src/server/limits.rs), where it is only a warning. To Kubernetes 0 is no limit. */}}
{{- $limit := dig "limits" "memory" "" $values.core.resources | include "metastore.text" -}}
{{- $memory := include "metastore.bytes" $limit | int64 -}}
{{- $cache := include "metastore.blockCacheBytes" . | int64 -}}
{{- if and (gt $memory 0) (lt (sub $memory 201326592) $cache) -}}
{{- $no = append $no (printf "core.resources.limits.memory is %s: below core.blockCacheBytes and the 192 MiB that core may need besides, together %d MiB" $limit (add (div $cache 1048576) 192)) -}}
{{- end -}}
{{- if gt (len $values.adminSocket) 107 -}}
{{- $no = append $no (printf "adminSocket has %d bytes: the path of a Unix socket has at most 107" (len $values.adminSocket)) -}}
{{- end -}}
{{- $mount := printf "%s/" (trimSuffix "/" $values.persistence.mountPath) -}}
{{/* Where programs and other volumes are. */}}
{{- $taken := list "/" "/etc" "/etc/metastore" "/tmp" "/usr" "/usr/local" "/usr/local/bin" -}}
{{- if has $values.persistence.mountPath $taken -}}
{{- $no = append $no (printf "persistence.mountPath is %s: the volume would hide what is there" $values.persistence.mountPath) -}}
{{- end -}}
{{- if or (hasPrefix "/run/" $mount) (hasPrefix "/var/run/" $mount) -}}
{{- $no = append $no (printf "persistence.mountPath is %s: the sidecar cannot measure a file system below /run" $values.persistence.mountPath) -}}
{{- end -}}
{{- if has (dir $values.adminSocket) $taken -}}
{{- $no = append $no (printf "adminSocket is %s: its directory is a volume of its own, which cannot be %s" $values.adminSocket (dir $values.adminSocket)) -}}
{{- end -}}
{{- $socketDir := printf "%s/" (dir $values.adminSocket) -}}
{{- if or (hasPrefix $mount $socketDir) (hasPrefix $socketDir $mount) -}}
{{- $no = append $no (printf "adminSocket is %s and persistence.mountPath is %s: the socket needs a volume of its own, which the sidecar may write" $values.adminSocket $values.persistence.mountPath) -}}
{{- end -}}
{{- toYaml $no -}}
{{- end }}

{{/* Marks of the disk. Percent and bytes are compared on a volume of persistence.size: the sidecar
does it once more, on what the file system has. */}}
{{- define "metastore.refuseMarks" -}}
{{- $disk := .Values.sidecar.disk -}}
{{- $size := include "metastore.bytes" .Values.persistence.size | int64 -}}
{{- $no := list -}}
{{- $text := dict -}}
{{- range $name, $default := dict "floorFree" "2%" "lowFree" "10%" "clearFree" "15%" "warnFree" "20%" -}}
{{- $_ := set $text $name (include "metastore.text" (get $disk $name) | default $default) -}}
{{- $mark := include "metastore.share" (list (get $text $name) $size) | int64 -}}
{{- $isAll := and (ge $mark (mul (div $size 10000) 10000)) (or (eq $name "clearFree") (not (hasSuffix "%" (get $text $name)))) -}}
{{- if or $isAll (gt $mark $size) -}}
{{- $no = append $no (printf "sidecar.disk.%s is %s: never so much is free of persistence.size, which is %s" $name (get $text $name) (include "metastore.text" $.Values.persistence.size)) -}}
{{- end -}}
{{- end -}}
{{- $isSound := empty $no -}}
{{- range list (list "floorFree" "lowFree") (list "lowFree" "clearFree") (list "lowFree" "warnFree") -}}
{{- $less := get $text (index . 0) -}}
{{- $more := get $text (index . 1) -}}
{{- if and $isSound (ge (include "metastore.share" (list $less $size) | int64) (include "metastore.share" (list $more $size) | int64)) -}}
{{- $no = append $no (printf "sidecar.disk.%s is %s: not more than sidecar.disk.%s, which is %s; floorFree < lowFree < clearFree, and lowFree < warnFree" (index . 1) $more (index . 0) $less) -}}
{{- end -}}
{{- end -}}
{{- toYaml $no -}}
{{- end }}

{{/* What the program takes of a number, a size or a duration, as files/environment.yaml has it. */}}
{{- define "metastore.refuseRanges" -}}
{{- $no := list -}}
{{- range $name, $row := (include "metastore.variables" . | fromYaml).variables -}}
{{- $least := include "metastore.text" $row.least -}}
{{- $most := include "metastore.text" $row.most -}}
{{- $text := "" -}}
{{- if or $least $most }}{{ $text = include "metastore.value" (list $ $row.value) }}{{ end -}}
{{- if $text -}}
{{- $measure := ternary "metastore.microseconds" "metastore.bytes" (regexMatch "(s|m|h)$" (default $least $most)) -}}
{{- $is := include $measure $text | int64 -}}
{{- $isLess := and $least (lt $is (include $measure (default "0" $least) | int64)) -}}
{{- $isMore := and $most (gt $is (include $measure (default "0" $most) | int64)) -}}
{{- $taken := ternary (printf "%s to %s" $least $most) (ternary (printf "%s or more" $least) (printf "at most %s" $most) (empty $most)) (and (not (empty $least)) (not (empty $most))) -}}
{{- if or $isLess $isMore -}}
{{- $no = append $no (printf "%s is %s: the program takes %s" $row.value $text $taken) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $retention := include "metastore.text" .Values.autoCompactionRetention -}}
{{- $isCount := regexMatch "^[0-9]+$" $retention -}}
{{- if eq .Values.autoCompactionMode "revision" -}}
{{- if and $retention (not $isCount) -}}
{{- $no = append $no (printf "autoCompactionRetention is %s: a time, while autoCompactionMode is revision" $retention) -}}
{{- end -}}
{{- else if gt (include "metastore.microseconds" (ternary (printf "%sh" $retention) $retention $isCount) | int64) (include "metastore.microseconds" "8760h" | int64) -}}
{{- $no = append $no (printf "autoCompactionRetention is %s: longer than a year (8760 hours); for a number of revisions set autoCompactionMode to revision" $retention) -}}
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
{{- $window := include "metastore.milliseconds" (include "metastore.text" $values.sidecar.livenessWindow | default "60s") | int64 -}}
{{- if le $window $age -}}
{{- $no = append $no (printf "sidecar.livenessWindow is %d ms: not longer than sidecar.observationMaxAge, which is %d ms: core would be restarted on old news" $window $age) -}}
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
{{- $names := list -}}
{{- range $variables -}}
{{- if has .name $names }}{{ $no = append $no (printf "%s: %s is there twice" $where .name) }}{{ end -}}
{{- $names = append $names .name -}}
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
