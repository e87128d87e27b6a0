"""One lawful run and the law it is lawful under, for the tests of the member's chart."""

from __future__ import annotations

import copy
from typing import Any

from hansa.api.memberpolicy import MemberPolicySpec
from hansa.api.workgrant import WorkGrantSpec
from hansa.reconcile.member.inventory.stock import CardChoice
from hansa.reconcile.member.run_request import RunRequest
from tests.apiserver.crds.bases import BASES

LOCK = f"""\
six==1.16.0 ; python_version < "4" \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
    # via nobody
numpy[extra]==2.1.0+cpu --hash=sha256:{"c" * 64}
"""


def _request() -> RunRequest:
    wire = copy.deepcopy(BASES["WorkGrant"]["spec"])
    wire["jobSpec"] |= {
        "files": [{"name": "train.py", "content": "print(1)"}],
        "secrets": [{"name": "token"}, {"name": "keys", "mode": "Files"}],
        "runtimeEnv": {"pip": LOCK},
        "env": [{"name": "CUDA_LAUNCH_BLOCKING", "value": "1"}],
    }
    wire["jobSpec"]["ray"]["workers"]["count"] = 2
    # With the further group's worker, which has a GPU too.
    wire["jobSpec"]["ray"]["workerGroups"][0]["gpus"], wire["workers"] = 1, 3
    resources = [{"name": "ssd", "amount": 2}, {"name": "Nv.link-4", "amount": 1}]
    wire["jobSpec"]["ray"]["workers"]["customResources"] = resources
    policy = BASES["MemberPolicy"]["spec"]
    volume = {
        "capacity": {"storage": "1Gi"},
        "nfs": {"server": "192.0.2.1", "path": "/data"},
        "volumeMode": "Filesystem",
    }
    held = {**policy["datasets"][0], "name": "breast-cancer"}
    return RunRequest(
        grant=WorkGrantSpec.model_validate(wire),
        wire=wire,
        policy=MemberPolicySpec.model_validate({**policy, "datasets": [held]}),
        gpu_class="nvidia-l40s",
        cards=CardChoice(
            "nvidia.com/gpu",
            (
                ("nvidia.com/gpu.product", ("NVIDIA-L40S",)),
                ("nvidia.com/gpu.memory", ("46068",)),
                ("cloud.google.com/gke-gpu-sharing-strategy", ()),
            ),
        ),
        places=("EE", "EE-79"),
        left=("gpu-7", "gpu-9"),
        volumes={"breast-cancer": volume},
        secrets={"token": {"token": "c2VjcmV0"}, "keys": {"id": "c2VjcmV0"}},
        resolver="10.96.0.53",
    )


REQUEST = _request()


def law_of(**changes: Any) -> dict[str, Any]:
    """Return the MemberPolicy with changes in its spec."""
    policy = BASES["MemberPolicy"]
    return {k: v for k, v in policy.items() if k != "status"} | {
        "spec": {**policy["spec"], **changes}
    }
