{{/* A policy of the second lock, one that the agent looks at and so may read, and its binding; its spec is the template
hansa.lock.spec.NAME. runs: for what lies in a run's namespace; law: it reads the MemberPolicy. */}}
{{- define "hansa.lock.policy" -}}
{{- if not (has .name (.root.Files.Get "files/lock-policies.yaml" | fromYamlArray)) -}}
{{- fail (printf "%s is not in files/lock-policies.yaml: name it in hansa/reconcile/member/canaries.py" .name) -}}
{{- end -}}
{{ include "hansa.lock.part" (dict "root" .root "name" .name "kind" "ValidatingAdmissionPolicy" "spec" (include (printf "hansa.lock.spec.%s" .name) .root)) }}
---
{{ include "hansa.lock.part" (dict "root" .root "name" .name "kind" "ValidatingAdmissionPolicyBinding" "spec" (include "hansa.lock.binding" .)) }}
{{- end }}

{{/* One of the two, with the digest of its spec: whoever changes that is noticed (hansa/member/cluster/second_lock.py).
Helm takes its "<no value>" out only of what is rendered whole. */}}
{{- define "hansa.lock.part" -}}
{{- $spec := .spec | replace "<no value>" "" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name }}
  labels: {{- include "hansa.labels" .root | nindent 4 }}
  annotations:
    hansa.dev/spec-digest: {{ $spec | fromYaml | toRawJson | sha256sum }}
spec:
{{- $spec }}
{{- end }}

{{- define "hansa.lock.binding" }}
  policyName: {{ .name }}
  validationActions: [Deny]
  {{- if .law }}
  # No law, no work.
  paramRef: {name: local, parameterNotFoundAction: Deny}
  {{- end }}
  {{- if .runs }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - {key: hansa.dev/job-uid, operator: Exists}
  {{- end }}
{{- end }}

{{/* What a request does, as files/duties.yaml writes it: UPDATE rayjobs.ray.io/status. */}}
{{- define "hansa.lock.act" -}}
request.operation + ' ' + request.resource.resource
+ (request.resource.group == '' ? '' : '.' + request.resource.group)
+ (request.?subResource.orValue('') == '' ? '' : '/' + request.subResource)
{{- end }}

{{/* files/duties.yaml, with each line about WORKLOAD once for each workload. */}}
{{- define "hansa.lock.duties" -}}
{{- $lines := list -}}
{{- range include "hansa.workloads" . | fromYamlArray }}{{ $lines = append $lines (printf "${1}%s${2}" .) }}{{ end -}}
{{- regexReplaceAll "(?m)^( +- [A-Z]+ )WORKLOAD(.*)$" (.Files.Get "files/duties.yaml") (join "\n" $lines) }}
{{- end }}

{{/* The accounts of files/duties.yaml by their full names, as a map in CEL. */}}
{{- define "hansa.lock.runDuties" -}}
{{- $duties := (include "hansa.lock.duties" . | fromYaml).run -}}
{{- $duties = set $duties (include "hansa.account" .) $duties.agent -}}
{{- $duties = set $duties (include "hansa.kuberay" .) $duties.kuberay -}}
{{- $duties = set $duties (include "hansa.guardAccount" .) $duties.guard -}}
{{- omit $duties "agent" "guard" "kuberay" | toJson -}}
{{- end }}

{{/* Users of runs, [uid, gid, fsGroup or -1] each: hansa/member/run_settings.py; a test compares the defaults. */}}
{{- define "hansa.lock.users" -}}
{{- $runs := .Values.settings.runs | default dict -}}
{{- $user := $runs.user | default dict -}}
{{- $group := $user.fsGroup | default -1 | int64 -}}
{{- $users := list (list ($user.uid | default 65532 | int64) ($user.gid | default 65532 | int64) $group) -}}
{{- $images := $runs.imageUsers -}}
{{- if not (hasKey $runs "imageUsers") -}}
{{- $images = list (dict "imagePrefix" "*/rayproject/" "uid" 1000 "gid" 100) -}}
{{- end -}}
{{- range $images -}}{{- $users = append $users (list (int64 .uid) (int64 .gid) $group) -}}{{- end -}}
{{ uniq $users | toJson }}
{{- end }}

{{/* Whether `rule` lets a run ask the cluster for names: settings.runs.dns, or what the agent may find
(hansa/reconcile/member/platform/resolvers.py; a test compares). */}}
{{- define "hansa.lock.asksForNames" -}}
{{- $rows := list -}}
{{- range (.Values.settings.runs).dns -}}
{{- $peer := dict "ipBlock" (dict "cidr" .cidr) -}}
{{- if .namespace -}}
{{- $peer = dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .namespace)) -}}
{{- end -}}
{{- $rows = append $rows (printf "rule.to[0] == %s && rule.ports.all(p, p.?port.orValue(0) == %d && !has(p.endPort))" (toJson $peer) (.port | default 53 | int64)) -}}
{{- end -}}
{{- if not $rows -}}
{{- $inside := list "10.0.0.0/8" "100.64.0.0/10" "169.254.0.0/16" "172.16.0.0/12" "192.168.0.0/16" "34.118.224.0/20" "fc00::/7" -}}
{{- $rows = list
  "rule.to[0] == {'namespaceSelector': {'matchLabels': {'kubernetes.io/metadata.name': 'kube-system'}}} && rule.ports.all(p, p.?port.orValue(0) in [53, 8053] && !has(p.endPort))"
  "rule.to[0] == {'namespaceSelector': {'matchLabels': {'kubernetes.io/metadata.name': 'openshift-dns'}}} && rule.ports.all(p, p.?port.orValue(0) == 5353 && !has(p.endPort))"
  (printf "rule.to[0].?ipBlock.?cidr.orValue('').matches('^([0-9.]+/32|[0-9a-f:]+/128)$') && ['%s'].exists(inside, cidr(inside).containsCIDR(rule.to[0].ipBlock.cidr)) && rule.ports.all(p, p.?port.orValue(0) == 53 && !has(p.endPort))" (join "', '" $inside)) -}}
{{- end -}}
size(rule.?ports.orValue([])) > 0 && ({{ join " || " $rows }})
{{- end }}

{{/* Whether a name is a resource of the table of accelerators, or (of: taint) the key of such machines' taint. The
table is hansa/reconcile/member/inventory/accelerators.py; a test compares. */}}
{{- define "hansa.lock.isAccelerator" -}}
{{- $more := list -}}
{{- range (.root.Values.settings.machines).accelerators -}}
{{- $more = append $more .resource -}}
{{- if and (eq $.of "taint") .taint -}}{{- $more = append $more .taint -}}{{- end -}}
{{- end -}}
({{ .name }}.matches('^(nvidia[.]com/(gpu|gpu[.]shared|mig-[a-z0-9.-]+)|amd[.]com/gpu|gpu[.]intel[.]com/(i915|xe))$')
{{- with $more }} || {{ $.name }} in ['{{ join "', '" . }}']{{ end }})
{{- end }}

{{/* Whether a label is one by which the table tells cards apart. */}}
{{- define "hansa.lock.isCardLabel" -}}
{{- $more := list -}}
{{- range (.Values.settings.machines).accelerators -}}
{{- $more = concat $more (compact (list .classLabel .memoryLabel)) -}}
{{- end -}}
e.key.matches('^(nvidia[.]com/(gpu|mig-[a-z0-9.-]+)[.](product|memory)|cloud[.]google[.]com/gke-(accelerator|gpu-sharing-strategy|gpu-partition-size)|(karpenter[.]k8s[.]aws|eks[.]amazonaws[.]com)/instance-gpu-(name|memory)|karpenter[.]azure[.]com/sku-gpu-name|doks[.]digitalocean[.]com/gpu-model|amd[.]com/(gpu[.](product-name|vram)|compute-memory-partition)|gpu[.]intel[.]com/product)$')
{{- with $more }} || e.key in ['{{ join "', '" . }}']{{ end }}
{{- end }}
