"""Defects of the objects a run is made of, and of what the charts install."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, chart, product

RAYJOB, LAUNCHER = (
    "unit/reconcile/member/ray/rayjob/test_rayjob.py",
    "unit/reconcile/member/ray/test_launcher.py",
)
PACKAGES, GROUPS = (
    "unit/reconcile/member/ray/rayjob/test_packages.py",
    "unit/reconcile/member/ray/rayjob/test_groups.py",
)
ORDER, RENDERED, REACH = (
    "unit/member/runs/test_order_of_writes.py",
    "programs/charts/test_rendered_lock.py",
    "programs/charts/test_reach.py",
)

RUNS: Mapping[str, Defect] = {
    "telemetry left on": product(
        "reconcile/member/ray/pods.py",
        '"RAY_USAGE_STATS_ENABLED": "0"',
        '"RAY_USAGE_STATS_ENABLED": "1"',
        RAYJOB,
    ),
    "the dashboard open to all pods": product(
        "reconcile/member/ray/rayjob.py",
        'who = {"namespaceSelector": where, "podSelector": {"matchExpressions": [operator]}}',
        'who = {"namespaceSelector": {}, **{k: v for k, v in (("x", (where, operator)),) if not v}}',
        RAYJOB,
    ),
    "the dashboard on every port": product(
        "reconcile/member/ray/rayjob.py",
        'return {"from": [who], "ports": [{"protocol": "TCP", "port": DASHBOARD_PORT}]}',
        'return {"from": [who]}',
        RAYJOB,
    ),
    "Ray that asks for no token": product(
        "reconcile/member/ray/rayjob.py",
        '"authOptions": {"mode": "token"}',
        '"authOptions": {"mode": "disabled"}',
        RAYJOB,
    ),
    "egress nobody lent": product(
        "reconcile/member/run_namespace.py",
        "for egress in request.policy.egress:",
        'for egress in request.policy.egress or (type("", (), {"cidr": "0.0.0.0/0", "ports": ()}),):',
        RAYJOB,
    ),
    "only one way fenced": product(
        "reconcile/member/run_namespace.py",
        '"policyTypes": ["Ingress", "Egress"]',
        '"policyTypes": ["Ingress"]',
        RAYJOB,
    ),
    "other resolvers reachable from work with data": product(
        "reconcile/member/run_namespace.py",
        "for port in ports if port not in closed]",
        "for port in ports]",
        RAYJOB,
    ),
    "the cluster's resolver for work with data": product(
        "reconcile/member/ray/pods.py",
        'spec |= {"dnsPolicy": "None", "dnsConfig": {"nameservers": [request.resolver]}}',
        'spec |= {"dnsPolicy": "ClusterFirst"}',
        RAYJOB,
    ),
    "work made before its fences": product(
        "reconcile/member/run_namespace.py",
        "        fences,\n        [Creation(resource.path(request.name), work)],",
        "        [Creation(resource.path(request.name), work)],\n        fences,",
        RAYJOB,
        ORDER,
    ),
    "a namespace without Pod Security": product(
        "reconcile/member/run_namespace.py",
        '"pod-security.kubernetes.io/enforce": "restricted",',
        '"pod-security.kubernetes.io/warn": "restricted",',
        RAYJOB,
    ),
    "a token in every pod": product(
        "reconcile/member/ray/pods.py",
        '"automountServiceAccountToken": False,',
        '"automountServiceAccountToken": True,',
        RAYJOB,
    ),
    "data that can be written": product(
        "reconcile/member/ray/pods.py",
        '"mountPath": f"{DATA_ROOT}/{dataset.name}",\n            "readOnly": True,',
        '"mountPath": f"{DATA_ROOT}/{dataset.name}",\n            "readOnly": False,',
        RAYJOB,
    ),
    "data deleted with its second name": product(
        "reconcile/member/data.py",
        '"persistentVolumeReclaimPolicy": "Retain"',
        '"persistentVolumeReclaimPolicy": "Delete"',
        RAYJOB,
    ),
    "pods anywhere": product(
        "reconcile/member/ray/pods.py",
        "expressions = [_in(JURISDICTION_LABEL, request.places)]",
        "expressions = [_in(JURISDICTION_LABEL, request.places)][:0]",
        RAYJOB,
    ),
    "machines of another place count as lawful": product(
        "reconcile/member/run_request.py",
        "if not any(r.territory.objection(r.residency.location, place) for r in rules)",
        "if place and rules",
        RAYJOB,
    ),
    "more pods than the job's own": product(
        "reconcile/member/ray/rayjob.py",
        '"pods": str(many),',
        '"pods": str(many + 18),',
        RAYJOB,
    ),
    "packages that no hash binds": product(
        "reconcile/member/ray/rayjob.py",
        '"--only-binary :all:", "--require-hashes")',
        '"--only-binary :all:")',
        PACKAGES,
    ),
    "all of the index's machine reachable": product(
        "reconcile/member/run_namespace.py",
        '{"to": [{"ipBlock": {"cidr": index.network}}], "ports": ports}',
        '{"to": [{"ipBlock": {"cidr": index.network}}]} if ports else {}',
        PACKAGES,
    ),
    "packages where no index is named": product(
        "grants/checks.py",
        "is not None and case.policy.package_index is None:",
        "is not None and case.policy.package_index:",
        PACKAGES,
    ),
    "GPUs of a head that nobody counts": product(
        "api/job/ray_shape.py",
        "return groups + (self.head.gpus > 0)",
        "return groups",
        GROUPS,
    ),
    "a file that nobody looks at": product(
        "reconcile/member/ray/pods.py",
        '        "livenessProbe": alive.probe(),\n',
        "",
        RAYJOB,
    ),
    "a launcher that believes the wall clock alone": product(
        "reconcile/member/ray/launcher.py",
        "return min(until - time.time(), until - said - (time.monotonic() - since))",
        "return until - time.time()",
        LAUNCHER,
    ),
    "a launcher that begins the command once more": product(
        "reconcile/member/ray/launcher.py",
        "if os.path.exists(begun) or begun_elsewhere():",
        "if False:",
        LAUNCHER,
    ),
    "a launcher that lives without its file": product(
        "reconcile/member/ray/launcher.py",
        "        if seen is None:\n            return 0",
        "        if seen is None:\n            return 60",
        LAUNCHER,
    ),
    "a variable that Kubernetes expands": product(
        "reconcile/member/ray/pods.py",
        'e.value.replace("$", "$$")',
        "e.value",
        RAYJOB,
    ),
}

CHARTS: Mapping[str, Defect] = {
    "failurePolicy: Ignore": chart(
        "hansa-member/templates/lock/pods.yaml",
        "  failurePolicy: Fail\n  paramKind",
        "  failurePolicy: Ignore\n  paramKind",
        RENDERED,
    ),
    "bindings that only audit": chart(
        "hansa-member/templates/lock/_parts.tpl",
        "validationActions: [Deny]",
        "validationActions: [Audit]",
        RENDERED,
    ),
    "no law, and work is admitted": chart(
        "hansa-member/templates/lock/_parts.tpl",
        "parameterNotFoundAction: Deny",
        "parameterNotFoundAction: Allow",
        RENDERED,
    ),
    "runs that are not marked are not locked": chart(
        "hansa-member/templates/lock/_parts.tpl",
        "key: hansa.dev/job-uid, operator: Exists",
        "key: hansa.dev/gpu-class, operator: Exists",
        RENDERED,
    ),
    "ephemeral containers come in by the side": chart(
        "hansa-member/templates/lock/objects.yaml",
        'resources: ["*/*"]',
        'resources: ["*"]',
        RENDERED,
    ),
    "pods looked at in one version only": chart(
        "hansa-member/templates/lock/rayjobs.yaml",
        'apiVersions: ["*"]',
        "apiVersions: [v1]",
        RENDERED,
    ),
    "a canary's namespace without the mark": chart(
        "hansa-member/templates/canary.yaml",
        "hansa.dev/job-uid: canary",
        "hansa.dev/canary: canary",
        RENDERED,
    ),
    "a guard that can delete pods": chart(
        "hansa-member/templates/guard.yaml",
        "    resources: [namespaces]\n    verbs: [list, delete]",
        "    resources: [namespaces, pods]\n    verbs: [list, delete]",
    ),
    "a guard that talks to the hub": chart(
        "hansa-member/templates/guard.yaml",
        "    - to: {{- range .Values.networkPolicy.apiServer.cidrs }}",
        "    - to: {{- range .Values.networkPolicy.hub.cidrs }}",
    ),
    "an agent that reads every log": chart(
        "hansa-member/templates/rbac.yaml",
        "    resources: [configmaps]\n    resourceNames: [grant, alive]\n    verbs: [get]",
        "    resources: [configmaps, pods/log]\n    verbs: [get]",
        REACH,
    ),
    "an agent that makes pods": chart(
        "hansa-member/templates/rbac.yaml",
        "    resources: [serviceaccounts, resourcequotas,",
        "    resources: [pods, serviceaccounts, resourcequotas,",
        REACH,
    ),
    "the exporter's page open to everybody": chart(
        "hansa-member/templates/networkpolicy.yaml",
        '    - from:\n        - podSelector:\n            matchLabels: {{- include "hansa.selector" . | nindent 14 }}',
        "    - from:\n        - podSelector: {}",
        REACH,
    ),
    "the agent out on any port": chart(
        "hansa-member/templates/_helpers.tpl",
        "  ports: {{- range .ports }}\n    - {protocol: TCP, port: {{ . }}}\n    {{- end }}\n",
        "",
        REACH,
    ),
    "a resolver that asks others": chart(
        "hansa-member/templates/resolver.yaml",
        "        errors\n        ready\n",
        "        errors\n        ready\n        forward . 198.51.100.53\n",
        REACH,
    ),
    "a hub that reads secrets": chart(
        "hansa-hub/templates/rbac.yaml",
        "    resources: [namespaces]\n    verbs: [get, list, watch, create, patch]",
        "    resources: [namespaces, secrets]\n    verbs: [get, list, watch, create, patch]",
    ),
    "a hub that patches specs": chart(
        "hansa-hub/templates/rbac.yaml",
        "    resources: [computepools, projects, sovereignnodes]\n    verbs: [get, list, watch]",
        "    resources: [computepools, projects, sovereignnodes]\n    verbs: [get, list, watch, patch]",
        REACH,
    ),
    "a node that was turned out keeps its account": product(
        "reconcile/hub/node_identity.py",
        'if node is None or node.parsed.accepted == "Rejected":',
        "if node is None:",
        "unit/reconcile/hub/test_node_identity.py",
    ),
    "a token sealed for a key that is no longer pinned": product(
        "reconcile/hub/node_identity.py",
        'if sealed.get("key") != key:',
        "if not sealed:",
        "unit/reconcile/hub/test_node_identity.py",
    ),
    "a lost machine blamed on the command": product(
        "reconcile/member/ray/diagnosis.py",
        "        if said & MACHINE_GONE:",
        "        if False:",
        "unit/reconcile/member/ray/diagnosis/test_causes.py",
    ),
    "a finished job deleted before its release": product(
        "reconcile/hub/job_case.py",
        "if self.job.finalized or self.job.deleting or not all(map(self._only_keeps, self.epochs)):",
        "if self.job.deleting:",
        "unit/hub/jobs/test_expiry.py",
    ),
    "a job tried for ever": product(
        "reconcile/hub/status/retries.py",
        "return total < retry.limit and",
        "return total >= 0 and",
        "unit/hub/jobs/test_turned_down.py",
    ),
}
