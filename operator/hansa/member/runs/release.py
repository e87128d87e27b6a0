"""What a run leaves behind in numbers and signatures."""

from __future__ import annotations

from hansa.member.context import AgentContext
from hansa.member.state.run_index import Entry
from hansa.model.times import from_rfc3339
from hansa.observability import metrics
from hansa.ports import Manifest
from hansa.reconcile import fencing
from hansa.reconcile.member.lifecycle import Run


def sign_release(context: AgentContext, job_uid: str, epoch: int) -> Manifest:
    """Return this node's signed word that nothing of this epoch runs any more."""
    node, now_s = context.settings.node, context.clock.now()
    return fencing.sign_release(
        context.signer, node=node, job_uid=job_uid, epoch=epoch, now_s=now_s
    )


def gpu_seconds(entry: Entry, run: Run, ended_s: float) -> int:
    """Return GPUs held times seconds, from the making of the run to its end."""
    made_s = run.workload.created_s if run.workload else ended_s
    return max(0, int(ended_s - made_s)) * entry.gpus


def count_build(context: AgentContext, entry: Entry) -> None:
    """Note how long the way from the grant to the run took."""
    grant = context.grant_of(entry)
    made = from_rfc3339(grant["metadata"].get("creationTimestamp")) if grant else None
    if made is not None:
        context.instruments.observe(metrics.GRANT_TO_WORKLOAD, context.clock.now() - made)
