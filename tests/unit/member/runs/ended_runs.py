"""A RayJob that has ended, with a log and an output that hold a canary."""

from __future__ import annotations

import json
from typing import Any

from hansa.grants.exports import held_secret
from hansa.member.cluster.policy import HeldPolicy
from hansa.model.times import rfc3339
from tests.unit.grants.grant_kit import NOW_S, policy
from tests.unit.member.runs.plain_job import RUN, Running

RAYJOB = f"/apis/ray.io/v1/namespaces/{RUN}/rayjobs/{RUN}"
POD = f"/api/v1/namespaces/{RUN}/pods/{RUN}-abc"
SECRET = held_secret.path("hansa-system")
CANARY = "KANARIA"
LATER = "2042-07-05T12:34:56Z"
"""A time that only the job can have chosen."""
UP = {"type": "RayClusterProvisioned", "status": "True", "lastTransitionTime": rfc3339(NOW_S)}
ENDED: dict[str, Any] = {
    "jobId": CANARY,
    "jobStatus": "SUCCEEDED",
    "jobDeploymentStatus": "Complete",
    "message": f"Job finished: {CANARY}",
    "dashboardURL": CANARY,
    "rayJobInfo": {"startTime": LATER, "endTime": LATER},
    "rayClusterStatus": {"conditions": [UP], "head": {"podName": CANARY}},
    "startTime": rfc3339(NOW_S),
    "endTime": rfc3339(NOW_S + 60),
}


class Ending(Running):
    """An agent whose one run ends as it is told."""

    def __init__(self, **law: Any):
        super().__init__()
        self.own.put(SECRET, {"metadata": {"name": held_secret.NAME}})
        self.policy(**law)

    def policy(self, **law: Any):
        held = policy(**{"datasets": []} | law)
        self.parts.context.cluster_state.put_policy(HeldPolicy(held, 2, "u", ""))

    async def ends(self, log: str):
        await self.until(lambda: RAYJOB in self.own.objects)
        metadata = {"name": f"{RUN}-abc", "namespace": RUN}
        self.own.put(POD, {"metadata": metadata})
        self.own.logs[f"{POD}/log?submitter"] = log
        work = self.own.objects[RAYJOB]
        running = ENDED | {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
        self.own.put(RAYJOB, {**work, "status": running})
        await self.until(lambda: self.said("Running") == ("True", "Running"))
        self.own.put(RAYJOB, {**work, "status": ENDED})
        await self.until(lambda: self.said("Released") is not None)

    def told(self) -> str:
        """Everything that was written on the hub, beside what the hub itself had written."""
        return json.dumps([self.status(), self.hub.written])

    def message(self) -> str:
        rows = self.status()["conditions"]
        return next(row["message"] for row in rows if row["type"] == "Succeeded")


OPEN_LOGS = {"exports": {"logs": "Allow"}}
