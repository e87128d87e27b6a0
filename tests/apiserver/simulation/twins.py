"""The same operations on a real API server and on the simulation's model of one, and their answers compared.

Compared are the error's kind and status, the object without what only a server can set, and what a
watch tells of a stretch of history that both have gone through.
"""

from __future__ import annotations

import asyncio
from collections import deque

import numpy as np

from e2e.testbed.host.clock import PATIENCE_S
from hansa.api.kinds import AIJOB
from hansa.api.meta import API_VERSION
from hansa.errors import Gone, HansaError
from tests.residency_kit import EVERYWHERE
from tests.simulation.servers.apiserver import NAMESPACES

SERVER_SET = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "selfLink",
)
NAMES = ("a", "b", "c")
MARK = "mark"
"""An object whose change ends what is read of a watch."""
MANAGERS = ("hub", "member")
HELD_BACK = 20
"""Lists of which a watch may begin at the version: a real server remembers the last minute at least."""
LONGEST_S = PATIENCE_S
FINALIZER = "hansa.dev/held"
API = {
    "configmaps": {"apiVersion": "v1", "kind": "ConfigMap"},
    "aijobs": {"apiVersion": API_VERSION, "kind": "AIJob"},
}
SPEC = {
    "pool": "league",
    "residency": EVERYWHERE,
    "image": "hansa.local/ray@sha256:" + "0" * 64,
    "entrypoint": ["x"],
    "ray": {"version": "2.60.0", "workers": {"count": 1, "gpus": 0}},
}


class Twins:
    """A real server and a model of it, given the same operations."""

    def __init__(self, real, model, space: str, seed: int) -> None:
        self.sides = (real, model)
        self.space = space
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.spec = SPEC
        self.known: dict[str, list[tuple[dict, dict]]] = {}
        """Path → what both answered for it so far: versions to come back to."""
        self.listed: dict[str, deque] = {}
        """Collection → the versions that both gave their last lists."""
        self.number = 0

    async def both(self, act):
        """Do the same on both sides and compare; return both answers."""
        answers = [await _outcome(act(side, number)) for number, side in enumerate(self.sides)]
        real, model = map(_comparable, answers)
        assert real == model, f"really {real}\nmodelled {model}"
        return answers

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    async def found(self) -> None:
        """Make the namespace."""
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.space}}
        for at in self.sides:
            await at.create(NAMESPACES, made)

    async def step(self) -> None:
        kind = self.pick("configmaps", "aijobs")
        path = f"/api/v1/namespaces/{self.space}/configmaps"
        if kind == "aijobs":
            path = AIJOB.path(self.space)
        steps = (self.create, self.get, self.list, self.merge, self.merge, self.replace)
        steps = (*steps, self.delete, self.apply, self.apply, self.watch)
        step = self.pick(*steps) if self.rng.random() < 0.99 else self.expire
        await step(kind, path, str(self.pick(*NAMES)))

    async def create(self, kind, path, name) -> None:
        body = self.body(kind, name)
        self.note(f"{path}/{name}", await self.both(lambda at, _: at.create(path, body)))

    async def get(self, _, path, name) -> None:
        self.note(f"{path}/{name}", await self.both(lambda at, _: at.get(f"{path}/{name}")))

    async def list(self, _, path, __) -> None:
        labels = self.pick("", "color=red", "color in (red,blue)", "color")
        pages = await self.both(lambda at, _: _items(at, path, labels))
        versions = tuple(page["version"] for page in pages)
        self.listed.setdefault(path, deque(maxlen=HELD_BACK)).append(versions)

    async def merge(self, kind, path, name) -> None:
        where, status = f"{path}/{name}", kind == "aijobs" and self.pick(0, 1)
        patch = {"status": {"epoch": int(self.rng.integers(1, 4))}} if status else self.change(kind)
        held = self.said_of(where)
        fields = self.pick((), (), ("resourceVersion",), ("uid",) if not status else ())
        suffix = "/status" if status else ""

        def act(at, number):
            said = {f: held[number]["metadata"][f] for f in fields} if held else {}
            body = {**patch, "metadata": {**patch.get("metadata", {}), **said}}
            return at.merge(where + suffix, body)

        self.note(where, await self.both(act))

    async def replace(self, kind, path, name) -> None:
        where = f"{path}/{name}"
        held = self.said_of(where)
        if held is None:
            return
        change = self.change(kind)

        def act(at, number):
            meta = {**held[number]["metadata"], **change.get("metadata", {})}
            rest = {key: value for key, value in change.items() if key != "metadata"}
            return at.replace(where, {**held[number], **rest, "metadata": meta})

        self.note(where, await self.both(act))

    async def delete(self, _, path, name) -> None:
        where = f"{path}/{name}"
        held, exact = self.said_of(where), self.pick(0, 1)

        def act(at, number):
            uid = held[number]["metadata"]["uid"] if held and exact else ""
            return at.delete(where, uid=uid)

        await self.both(act)

    async def apply(self, kind, path, name) -> None:
        """Apply what one manager says of an object; each writes fields that nobody else does, the spec aside."""
        number = int(self.rng.integers(len(MANAGERS)))
        there = await _outcome(self.sides[1].get(f"{path}/{name}"))
        status = kind == "aijobs" and isinstance(there, dict) and bool(self.pick(0, 1))
        body = {**API[kind], **self.saying(kind, number, status=status)}
        body["metadata"] = {**body.get("metadata", {}), "name": name}
        where = f"{path}/{name}" + ("/status" if status else "")
        said = await self.both(lambda at, _: at.apply(where, body, manager=MANAGERS[number]))
        self.note(f"{path}/{name}", said)
        if self.pick(0, 1) and all(isinstance(one, dict) for one in said):
            again = await self.both(lambda at, _: at.apply(where, body, manager=MANAGERS[number]))
            assert [_version(one) for one in again] == [_version(one) for one in said]

    def saying(self, kind, number, *, status):
        """Return what a manager says now: always something new, and not all that it said before."""
        self.number += 1
        new, more = str(self.number), self.pick(0, 1)
        if status and number:
            return {"status": {"result": new} | ({"logTail": new} if more else {})}
        if status:
            kinds = ("Placed", "Running")[: 1 + more]
            return {
                "status": {"node": f"n{new}", "conditions": [_condition(k, new) for k in kinds]}
            }
        labels = {"color": self.pick("red", "blue"), f"by-{MANAGERS[number]}": new}
        labels |= {f"more-{MANAGERS[number]}": "x"} if more else {}
        if kind == "aijobs":
            return {"metadata": {"labels": labels}, "spec": self.spec}
        own = {f"{MANAGERS[number]}-{key}": new for key in ("p", "q")[: 1 + more]}
        return {"metadata": {"labels": labels}, "data": own}

    async def watch(self, kind, path, _) -> None:
        """Read what happened to a collection since one of its last lists; no object loses its color."""
        if self.listed.get(path):
            await self.read(kind, path, labels=self.pick("", "color"))

    async def read(self, kind, path, *, labels):
        """Read a watch from a list of before up to a mark of now."""
        since, until = self.pick(*self.listed[path]), await self.mark(kind, path)
        await self.both(lambda at, n: _happened(at, path, since[n], labels=labels, until=until[n]))

    async def mark(self, kind, path):
        """Change the mark; return its versions on both sides."""
        self.number += 1
        label = {"metadata": {"labels": {"color": "red", "number": str(self.number)}}}
        where, body = f"{path}/{MARK}", self.body(kind, MARK)
        body["metadata"].pop("finalizers", None)
        if where not in self.known:
            self.note(where, await self.both(lambda at, _: at.create(path, body)))
        answers = await self.both(lambda at, _: at.merge(where, label))
        self.note(where, answers)
        return [_version(one) for one in answers]

    async def expire(self, *_) -> None:
        """Watch from a version of long ago, which neither knows any more: the real one began before its CRDs."""
        self.sides[1].compact()
        self.listed.clear()
        path = AIJOB.path(self.space)
        gone = await self.both(lambda at, _: _happened(at, path, "1", labels="", until=1 << 62))
        assert {type(answer) for answer in gone} == {Gone}

    def body(self, kind, name):
        meta = {"name": name, "labels": {"color": self.pick("red", "blue", "green")}}
        if kind == "configmaps":
            return {**API[kind], "metadata": meta, "data": {"n": "0"}}
        if self.pick(0, 1):
            meta["finalizers"] = [FINALIZER]
        return {**API[kind], "metadata": meta, "spec": self.spec}

    def change(self, kind):
        number = int(self.rng.integers(3))
        if kind == "configmaps":
            return {"data": {"n": str(number)}}
        return self.pick(
            {"spec": {**self.spec, "priority": number}},
            {"metadata": {"finalizers": [FINALIZER]}},
            {"metadata": {"finalizers": []}},
            {"metadata": {"labels": {"color": self.pick("red", "blue")}}},
        )

    def note(self, path, answers) -> None:
        if all(isinstance(answer, dict) for answer in answers):
            self.known.setdefault(path, []).append(tuple(answers))

    def said_of(self, path):
        """Return an answer of before, mostly the last one."""
        said = self.known.get(path)
        if not said:
            return None
        return said[-1] if self.rng.random() < 0.7 else said[int(self.rng.integers(len(said)))]


async def with_defaults(real, space):
    """Return the spec as the real server completes it: the model knows no schemas."""
    body = {**API["aijobs"], "metadata": {"name": "first"}}
    made = await real.create(AIJOB.path(space), {**body, "spec": SPEC})
    await real.delete(AIJOB.path(space, "first"))
    return made["spec"]


async def _items(at, path, labels):
    page = await at.list(path, labels=labels)
    items = [item for item in page.items if item["metadata"]["name"] in NAMES]
    return {"items": items, "version": page.resource_version}


async def _happened(at, path, version, *, labels, until):
    """Return the events since a version, up to one: their order by version, and what each tells."""
    rows, last = [], int(version)
    async with asyncio.timeout(LONGEST_S):
        async for event in at.watch(path, version, labels=labels):
            seen = _version(event.object)
            assert seen > last or event.type == "BOOKMARK", "a watch goes back"
            last = seen
            if event.object["metadata"].get("name") in (*NAMES, MARK):
                rows.append({"type": event.type, **event.object})
            if seen >= until:
                return {"items": rows}
    raise AssertionError("the watch ended before it told everything")


def _version(thing) -> int:
    return int(thing["metadata"]["resourceVersion"])


def _condition(kind, said):
    at = "2026-11-30T00:00:00Z"
    return {
        "type": kind,
        "status": "True",
        "reason": "X",
        "message": said,
        "lastTransitionTime": at,
    }


async def _outcome(doing):
    try:
        return await doing
    except HansaError as error:
        return error


def _comparable(answer):
    if isinstance(answer, HansaError):
        return type(answer).__name__, getattr(answer, "status", 0)
    if answer is None:
        return None
    if "items" in answer:
        return [_bare(item) for item in answer["items"]]
    return _bare(answer)


def _bare(thing):
    meta = {key: value for key, value in thing["metadata"].items() if key not in SERVER_SET}
    fields = {key: value for key, value in thing.items() if key not in ("kind", "apiVersion")}
    if rows := (thing.get("status") or {}).get("conditions"):
        fields["status"] = {**thing["status"], "conditions": sorted(rows, key=str)}
    return {**fields, "metadata": meta}
