"""What the ledger sees of the hub: its nodes and its grants, followed by watch and never listed in a loop.

A grant is heard of when it is made, however short it lives, and read once. It waits here until the
database has it, also while that is away. Receipts and audits read the same view, each its own part.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from hansa.adapters.kube.mirror import ChangeType, Kept, by_uid
from hansa.adapters.kube.reflector import Reflector
from hansa.api.kinds import SOVEREIGNNODE, WORKGRANT
from hansa.api.meta import NODE_NAMESPACE_PREFIX
from hansa.ledger.receipts.endings import LEFT, Declarations, Heard, dropped, heard_from
from hansa.ledger.receipts.grant_notes import GrantNote, GrantNotes, note_of
from hansa.ledger.receipts.grants import Claimed, Granted, read_grant
from hansa.ports import Clock, Cluster, Manifest
from hansa.process.app import together

GRANT = "granted"
"""Key of a mirrored grant: what the ledger keeps of it; None: it cannot be read, and is nobody's claim."""
TOLD = "told"
"""Key of a mirrored grant: what was heard of its run, by phase."""
OF_STATUS = ("receipts", "assurance", "audits", "witness", "inventory", "hardware")
"""What is kept of a node's status: what its agent and the ledger say to each other, which GPUs it has, and what they say."""


class HubView:
    """Mirrors of nodes and grants; for one event loop."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        ahead_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        """Nothing is known before ``follow``. ``ahead_s``: how far the hub's own clock is ahead; None: nobody knows."""
        self._cluster = cluster
        self._clock, self._ahead_s = clock, ahead_s
        nodes = Kept(trim=self._node)
        self._nodes = Reflector(cluster, SOVEREIGNNODE.path(), clock=clock, kept=nodes)
        self._grants = Reflector(
            cluster,
            WORKGRANT.path(),
            clock=clock,
            on_change=self._heard,
            kept=Kept(by_uid, self._grant),
        )
        self._unkept: dict[str, Claimed] = {}
        """Grant's uid → what was heard of it and is not in the database yet."""
        self._news: dict[tuple[str, str], Heard] = {}
        """(subject, phase) → what was heard and is not in the database yet."""
        self._declared = Declarations()
        self._notes: GrantNotes | None = None
        self._looked = 0
        """How many notes had been passed over when all grants were looked at."""

    async def follow(self) -> None:
        """Follow both until cancelled."""
        await together(self._nodes.run(), self._grants.run())

    @property
    def synced(self) -> bool:
        """Whether both were read once."""
        return self._nodes.synced and self._grants.synced

    @property
    def age_s(self) -> float:
        """Seconds since the hub last said anything of either, bookmarks included."""
        return max(self._nodes.last_event_age_s, self._grants.last_event_age_s)

    def nodes(self) -> Iterable[Manifest]:
        """Return all nodes: name, spec, and of the status ``OF_STATUS``."""
        return self._nodes.values()

    def unkept(self) -> dict[str, Granted]:
        """Return what is to be kept of grants heard of, by their uids.

        One whose node is not known yet waits for it, unless grant and node are both gone.
        """
        found = {}
        for uid, claim in list(self._unkept.items()):
            node = self._nodes.get(claim.record.node)
            if node is not None:
                found[uid] = claim.at(node)
            elif self._grants.get(uid) is None:
                del self._unkept[uid]
        return found

    def granted(self) -> frozenset[str]:
        """Return the runs whose grants are there."""
        claims = (thing[GRANT] for thing in self._grants.values())
        return frozenset(claim.run for claim in claims if claim is not None)

    def kept(self, uids: Iterable[str]) -> None:
        """Take note that the database has these."""
        for uid in uids:
            self._unkept.pop(uid, None)

    def news(self) -> list[Heard]:
        """Return what is to be kept of what was heard of runs and of nodes' GPUs."""
        return list(self._news.values())

    def told(self, news: Iterable[Heard]) -> None:
        """Take note that the database has these."""
        for one in news:
            self._news.pop((one.subject, one.phase), None)

    def keep_notes(self, notes: GrantNotes) -> None:
        """Keep, from now on, what runs have to do and what they told, for ``notes`` and ``noted``."""
        self._notes = notes

    async def notes(self) -> AsyncIterator[dict[str, GrantNote]]:
        """Yield by the uids of grants what was heard of them and is not noted yet.

        Where more came than there was room for, all grants that are there are read, page by page.
        """
        if self._notes is None:
            return
        passed_over = self._notes.passed_over
        yield self._notes.waiting()
        if passed_over != self._looked:
            async for page in self._cluster.pages(WORKGRANT.path()):
                yield {
                    thing["metadata"]["uid"]: note_of(claim, thing)
                    for thing in page.items
                    if (claim := read_grant(thing)) is not None
                }
            self._looked = passed_over

    def noted(self, notes: Mapping[str, GrantNote]) -> None:
        """Take note that the database has these."""
        if self._notes is not None:
            self._notes.kept(notes)

    async def look_again(self, node: Manifest) -> list[Granted]:
        """Return the grants that a node has now: two watches are not in step."""
        namespace = f"{NODE_NAMESPACE_PREFIX}{node['metadata']['name']}"
        found = []
        for thing in (await self._cluster.list(WORKGRANT.path(namespace))).items:
            claim = read_grant(thing)
            if claim is not None:
                self._note(claim, thing)
                self._hear(heard_from(claim, thing, self._hub_s()))
                found.append(claim.at(node))
        return found

    def _grant(self, thing: Manifest) -> Manifest:
        known = self._grants.get(thing["metadata"]["uid"])
        claim = read_grant(thing) if known is None else known[GRANT]
        was_told: frozenset[str] = frozenset() if known is None else known[TOLD]
        news = [] if claim is None else [*heard_from(claim, thing, self._hub_s())]
        is_told = {one.phase for one in news}
        # Here, for nothing else of the hub's view has the whole grant.
        self._hear(one for one in news if one.phase not in was_told)
        if claim is not None and (known is None or LEFT in is_told - was_told):
            self._note(claim, thing)
        return {"metadata": _identity(thing), GRANT: claim, TOLD: was_told | is_told}

    def _hub_s(self) -> float:
        return self._clock.now() + (self._ahead_s() or 0.0)

    def _hear(self, news: Iterable[Heard]) -> None:
        for one in news:
            self._news.setdefault((one.subject, one.phase), one)

    def _node(self, thing: Manifest) -> Manifest:
        said = self._declared.heard(thing, int(self._clock.now() * 1000))
        self._hear(() if said is None else (said,))
        status = thing.get("status") or {}
        return {
            "metadata": _identity(thing),
            "spec": thing.get("spec") or {},
            "status": {name: status[name] for name in OF_STATUS if name in status},
        }

    def _note(self, claim: Claimed, thing: Manifest) -> None:
        if self._notes is not None:
            self._notes.hear(thing["metadata"]["uid"], note_of(claim, thing))

    def _heard(self, kind: ChangeType, thing: Manifest) -> None:
        if kind == "DELETED" and GRANT not in thing:
            # The watch shows a grant as it was when it went; a list shows only that it is there no more.
            claim = read_grant(thing)
            self._hear(() if claim is None else dropped(claim, thing))
        elif kind == "ADDED" and thing[GRANT] is not None:
            self._unkept[thing["metadata"]["uid"]] = thing[GRANT]


def _identity(thing: Mapping[str, Any]) -> dict[str, Any]:
    meta = thing["metadata"]
    wanted = ("name", "namespace", "uid", "resourceVersion")
    return {name: meta[name] for name in wanted if name in meta}
