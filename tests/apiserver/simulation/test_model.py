"""The simulation's API server against a real one: the same random operations, the same answers.

Compared are the error's kind and status, and the object without what only a server can set.
"""

from __future__ import annotations

import os
import uuid

import numpy as np
import pytest

from hansa.adapters.clock import SystemClock
from hansa.adapters.kube.client import KubeCluster
from hansa.adapters.kube.config import from_kubeconfig
from hansa.api.kinds import AIJOB
from hansa.api.meta import API_VERSION
from hansa.errors import HansaError
from tests.residency_kit import EVERYWHERE
from tests.simulation.apiserver import NAMESPACES, MemCluster

pytestmark = pytest.mark.apiserver

SERVER_SET = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
    "selfLink",
)
NAMES = ("a", "b", "c")
FINALIZER = "hansa.dev/held"
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
        self.rng = np.random.default_rng(seed)
        self.spec = SPEC
        self.known: dict[str, list[tuple[dict, dict]]] = {}
        """Path → what both answered for it so far: versions to come back to."""

    async def both(self, act):
        """Do the same on both sides and compare; return both answers."""
        answers = [await _outcome(act(side, number)) for number, side in enumerate(self.sides)]
        assert _comparable(answers[0]) == _comparable(answers[1])
        return answers

    def pick(self, *choices):
        return choices[int(self.rng.integers(len(choices)))]

    async def step(self) -> None:
        kind = self.pick("configmaps", "aijobs")
        path = f"/api/v1/namespaces/{self.space}/configmaps"
        if kind == "aijobs":
            path = AIJOB.path(self.space)
        await self.pick(
            self.create, self.get, self.list, self.merge, self.merge, self.replace, self.delete
        )(kind, path, str(self.pick(*NAMES)))

    async def create(self, kind, path, name) -> None:
        body = self.body(kind, name)
        self.note(f"{path}/{name}", await self.both(lambda at, _: at.create(path, body)))

    async def get(self, _, path, name) -> None:
        self.note(f"{path}/{name}", await self.both(lambda at, _: at.get(f"{path}/{name}")))

    async def list(self, _, path, __) -> None:
        labels = self.pick("", "color=red", "color in (red,blue)", "color")
        await self.both(lambda at, _: _items(at, path, labels))

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

    def body(self, kind, name):
        meta = {"name": name, "labels": {"color": self.pick("red", "blue", "green")}}
        if kind == "configmaps":
            return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"n": "0"}}
        if self.pick(0, 1):
            meta["finalizers"] = [FINALIZER]
        return {"apiVersion": API_VERSION, "kind": "AIJob", "metadata": meta, "spec": self.spec}

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


async def _with_defaults(real, space):
    """Return the spec as the real server completes it: the model knows no schemas."""
    body = {"apiVersion": API_VERSION, "kind": "AIJob", "metadata": {"name": "first"}}
    made = await real.create(AIJOB.path(space), {**body, "spec": SPEC})
    await real.delete(AIJOB.path(space, "first"))
    return made["spec"]


async def _items(at, path, labels):
    page = await at.list(path, labels=labels)
    return {"items": [item for item in page.items if item["metadata"]["name"] in NAMES]}


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
    return {**fields, "metadata": meta}


PART, WHOLE = int(os.environ.get("HANSA_MODEL_OPERATIONS", "300")), 5000
"""Random operations: more for ``make prove``, which says how many, and from which seed."""


@pytest.mark.parametrize(
    "count", [PART, pytest.param(WHOLE, marks=pytest.mark.soak)], ids=["part", "whole"]
)
async def test_it_answers_as_a_real_server_does(hub_plane, count, record_property):
    drawn = int(np.random.SeedSequence().entropy) % (1 << 32)
    seed = int(os.environ.get("HANSA_MODEL_SEED", drawn))
    space, model = f"twins-{uuid.uuid4().hex[:6]}", MemCluster("model", SystemClock())
    record_property("model operations", f"{count}, seed {seed}")
    connection = from_kubeconfig(hub_plane.kubeconfig)
    async with KubeCluster(connection, clock=SystemClock(), agent="twins") as real:
        for at in (real, model):
            made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}}
            await at.create(NAMESPACES, made)
        twins = Twins(real, model, space, seed)
        twins.spec = await _with_defaults(real, space)
        for _ in range(count):
            await twins.step()
