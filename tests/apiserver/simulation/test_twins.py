"""The comparison itself: two models that are alike do not differ, and each that errs in one thing is seen."""

from __future__ import annotations

import pytest

from hansa.adapters.clock import SystemClock
from hansa.errors import Gone
from tests.apiserver.simulation import twins as kit
from tests.apiserver.simulation.twins import Twins
from tests.simulation.servers.apiserver import MemCluster, parse

STEPS = 500


class Old(MemCluster):
    """As a real server, it no longer knows its first version."""

    async def watch(self, path, version, **selectors):
        if version == "1":
            raise Gone("too old")
        async for event in super().watch(path, version, **selectors):
            yield event


class NeverTellsAnEnd(MemCluster):
    def _tell(self, change, collection, thing, before):
        if change != "DELETED":
            super()._tell(change, collection, thing, before)


class TellsTwice(MemCluster):
    def _tell(self, change, collection, thing, before):
        super()._tell(change, collection, thing, before)
        self._log[collection].append(self._log[collection][-1])


class NeverForgets(MemCluster):
    def compact(self):
        pass


class KeepsWhatIsNoLongerApplied(MemCluster):
    async def apply(self, path, body, *, manager):
        self._said.clear()
        return await super().apply(path, body, manager=manager)


class WritesWhatIsAlreadyApplied(MemCluster):
    async def apply(self, path, body, *, manager):
        where = parse(path)
        await super().apply(path, body, manager=manager)
        return self._store(where.collection, where.key, self._held(where), "MODIFIED")


class DropsWhatOthersApplied(MemCluster):
    async def apply(self, path, body, *, manager):
        return await super().apply(path, body, manager=manager[:0])


ERRING = (
    *(NeverTellsAnEnd, TellsTwice, NeverForgets, KeepsWhatIsNoLongerApplied),
    *(WritesWhatIsAlreadyApplied, DropsWhatOthersApplied),
)


async def play(model):
    twins = Twins(Old("real", SystemClock()), model("model", SystemClock()), "twins", seed=1)
    await twins.found()
    for _ in range(STEPS):
        await twins.step()


async def test_models_that_are_alike_do_not_differ():
    await play(MemCluster)


@pytest.mark.parametrize("model", ERRING)
async def test_a_model_that_errs_is_seen(model, monkeypatch):
    monkeypatch.setattr(kit, "LONGEST_S", 1)
    with pytest.raises((AssertionError, TimeoutError)):
        await play(model)
