"""What verification tells the league on the hub: calls and levels to nodes, findings to the owners of jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hansa.api.job.verification import MOST_DOUBTFUL, JobAssurance
from hansa.api.kinds import AIJOB, SOVEREIGNNODE
from hansa.api.meta import API_VERSION
from hansa.api.sovereignnode import AssuranceWord, AuditCall, ClosedEpoch
from hansa.errors import Conflict, NotFound, Terminal
from hansa.ledger.audits.levels import word_for
from hansa.ledger.audits.nodes import LeagueNode
from hansa.model.times import rfc3339
from hansa.observability.events import (
    Event,
    Subject,
    job_audited,
    node_audited,
    node_level_fell,
)
from hansa.ports import Cluster, Signer
from hansa.verification.course.signed_words import read_word, say
from hansa.verification.levels import Standing
from hansa.verification.verdict import Verdict

log = logging.getLogger(__name__)
Emit = Callable[[Event], object]
FOUND = frozenset({"Passed", "Failed", "Doubtful"})
"""What is said in an event too, beside the job's status."""


class HubStatuses:
    """Writes the ledger's own fields of statuses, and no others."""

    def __init__(self, cluster: Cluster, signer: Signer, emit: Emit) -> None:
        """``signer``: the hub's key; ``emit``: takes events, which are a courtesy."""
        self._cluster, self._signer, self._emit = cluster, signer, emit

    async def nodes(
        self,
        nodes: Iterable[LeagueNode],
        standings: Mapping[str, Standing],
        epochs: tuple[int, ClosedEpoch | None],
        now_s: int,
    ) -> None:
        """Tell each node what it has shown and which epoch is open, where it is not told yet.

        ``epochs``: the open one, and the one before it.
        """
        for node in nodes:
            news: dict[str, Any] = {}
            word = word_for(node, standings[node.name], now_s, self._signer)
            if word is not None:
                news["assurance"] = word.model_dump(by_alias=True, mode="json")
            call = self._call(node, *epochs)
            if call is not None:
                news["audits"] = {"call": call.model_dump(by_alias=True, mode="json")}
            if news:
                is_told = await self._write(SOVEREIGNNODE.path(name=node.name), node.uid, news)
                if is_told and word is not None:
                    self._say_if_fallen(node, word)

    def audited(self, node: LeagueNode, run: str, verdict: Verdict, why: str) -> None:
        """Say what an audit found of a node's run, where it found something."""
        if verdict in {Verdict.PASSED, Verdict.FAILED}:
            self._emit(node_audited(_subject(node), run, verdict.value, why))

    def _say_if_fallen(self, node: LeagueNode, now: AssuranceWord) -> None:
        keys = {self._signer.key_id: self._signer.public_key}
        said = node.status.get("assurance")
        before = read_word(said, AssuranceWord, node_key=node.key, keys=keys)
        if isinstance(before, AssuranceWord) and before.level > now.level:
            self._emit(node_level_fell(_subject(node), before.level, now.level, now.why))

    async def job(self, job: str, run: str, said: JobAssurance) -> None:
        """Tell a job's owner what is known of a run; ``job``: ``namespace/name``."""
        namespace, _, name = job.partition("/")
        body = said.model_dump(by_alias=True, mode="json")
        path, uid = AIJOB.path(namespace, name), run.rpartition(".")[0]
        is_told = await self._write(path, uid, {"assurance": body})
        if is_told and said.audit in FOUND:
            subject = Subject(API_VERSION, AIJOB.name, name, namespace, uid)
            self._emit(job_audited(subject, said.epoch, said.audit, said.message))

    def _call(self, node: LeagueNode, epoch: int, closed: ClosedEpoch | None) -> AuditCall | None:
        keys = {self._signer.key_id: self._signer.public_key}
        told = read_word(node.audits.get("call"), AuditCall, node_key=node.key, keys=keys)
        if isinstance(told, AuditCall) and (told.epoch, told.closed) == (epoch, closed):
            return None
        return say(self._signer, AuditCall, node_key=node.key, epoch=epoch, closed=closed)

    async def _write(self, path: str, uid: str, status: Mapping[str, Any]) -> bool:
        try:
            await self._cluster.merge(
                path + "/status", {"metadata": {"uid": uid}, "status": dict(status)}
            )
        except (Conflict, NotFound) as error:
            # Deleted, or made anew under its name: there is nobody to tell.
            log.info("not told", extra={"path": path, "error": str(error)})
        except Terminal as error:
            # One that cannot be told holds up no other.
            log.warning("telling refused", extra={"path": path, "error": str(error)})
        else:
            return True
        return False


def _subject(node: LeagueNode) -> Subject:
    return Subject(API_VERSION, SOVEREIGNNODE.name, node.name, uid=node.uid)


def finding(
    run: str,
    reached: Standing | None,
    told: tuple[str, str],
    now_s: int,
    doubtful: Sequence[int] = (),
) -> JobAssurance:
    """Return what to tell a job of one of its runs. ``told``: what became of the audit, and why.

    ``doubtful``: which of its runs not to rely on, in order.
    """
    level = 0 if reached is None else reached.level.value
    return JobAssurance.model_validate(
        {
            "epoch": int(run.rpartition(".")[2]),
            "reached": f"L{level}",
            "audit": told[0],
            "message": told[1][:1024],
            "doubtful": tuple(doubtful[-MOST_DOUBTFUL:]),
            "at": rfc3339(now_s),
        }
    )
