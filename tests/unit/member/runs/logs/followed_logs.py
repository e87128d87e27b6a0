"""An agent that follows the log of a run."""

from __future__ import annotations

from typing import Any

from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.model.log_request import LogRequest
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.runs.ended_runs import POD, RAYJOB, Ending
from tests.unit.member.runs.plain_job import GRANT, RUN

EPOCH = 3
LOG = f"{POD}/log?submitter"


class Following(Ending):
    """An agent whose one run writes what it is told."""

    async def begins(self):
        self.granted()
        await self.until(lambda: RAYJOB in self.own.objects)
        self.own.put(POD, {"metadata": {"name": f"{RUN}-abc", "namespace": RUN}})
        self.own.logs[LOG] = ""

    def asked(self, start: int = 0, *, until_s: float = 60.0, epoch: int = EPOCH):
        wish = str(LogRequest(NOW_S + until_s, epoch, start))
        grant = self.hub.objects[GRANT]
        metadata = grant["metadata"] | {"annotations": {LOG_REQUEST_ANNOTATION: wish}}
        self.hub.put(GRANT, grant | {"metadata": metadata})

    async def look(self) -> Any:
        """The piece that the hub has after the next look; None: it has none."""
        context = self.parts.context
        version = self.hub.objects[GRANT]["metadata"]["resourceVersion"]
        await self.until(lambda: self._seen() == version)
        await self.parts.log_follower.look()
        assert context.grants.get(f"hansa-node-tartu/{GRANT.rpartition('/')[2]}") is not None
        return self.status().get("log")

    def _seen(self) -> str:
        found = self.parts.context.grants.get(f"hansa-node-tartu/{GRANT.rpartition('/')[2]}")
        return str(found["metadata"]["resourceVersion"]) if found else ""
