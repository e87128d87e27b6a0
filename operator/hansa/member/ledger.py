"""What a run leaves behind in numbers and signatures."""

from __future__ import annotations

from hansa.member.book import Entry
from hansa.member.desk import Desk
from hansa.model.times import from_rfc3339
from hansa.observability import metrics
from hansa.planning import fencing
from hansa.planning.run import Run
from hansa.ports import Manifest


def sign_release(desk: Desk, job_uid: str, epoch: int) -> Manifest:
    """Return this node's signed word that nothing of this epoch runs any more."""
    node, now_s = desk.settings.node, desk.clock.now()
    return fencing.sign_release(desk.signer, node=node, job_uid=job_uid, epoch=epoch, now_s=now_s)


def gpu_seconds(entry: Entry, run: Run, ended_s: float) -> int:
    """Return GPUs held times seconds, from the first worker to the end."""
    began = run.rayjob.running_s if run.rayjob else None
    return 0 if began is None else max(0, int(ended_s - began)) * entry.gpus


def count_build(desk: Desk, entry: Entry) -> None:
    """Note how long the way from the grant to the RayJob took."""
    grant = desk.grant_of(entry)
    made = from_rfc3339(grant["metadata"].get("creationTimestamp")) if grant else None
    if made is not None:
        desk.instruments.observe(metrics.GRANT_TO_WORKLOAD, desk.clock.now() - made)
