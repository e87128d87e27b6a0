"""The fence before a cluster: nothing is written by who does not lead, and everything is read."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from hansa.adapters.kube.fenced import FencedCluster
from hansa.errors import Retryable
from hansa.ports import Cluster

PATH, BODY = "/api/v1/namespaces/x/configmaps", {"metadata": {"name": "y"}}
READS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "get": ((PATH,), {}),
    "list": ((PATH,), {"labels": "a=b", "fields": "c=d"}),
    "pages": ((PATH,), {"labels": "a=b", "fields": "c=d"}),
    "watch": ((PATH, "7"), {"labels": "a=b", "fields": "c=d"}),
    "text": ((PATH, {"container": "main"}), {}),
}
WRITES: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "create": ((PATH, BODY), {}),
    "replace": ((PATH, BODY), {}),
    "apply": ((PATH, BODY), {"manager": "hansa"}),
    "merge": ((PATH, BODY), {}),
    "delete": ((PATH,), {"uid": "u"}),
}
METHODS = READS | WRITES


class Noted:
    """A cluster that notes what is asked of it, and answers with the word for it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        async def one(*args: Any, **options: Any) -> str:
            self.asked.append((name, args, options))
            return name

        async def many(*args: Any, **options: Any) -> Any:
            yield await one(*args, **options)

        return many if name in {"pages", "watch"} else one


async def call(cluster: Any, name: str) -> Any:
    args, options = METHODS[name]
    answer = getattr(cluster, name)(*args, **options)
    return [one async for one in answer] if hasattr(answer, "__aiter__") else await answer


def methods(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"}


def test_every_method_of_a_cluster_is_a_read_or_a_write_of_this_table():
    assert methods(Cluster) == methods(FencedCluster) == METHODS.keys()


@pytest.mark.parametrize("name", WRITES)
async def test_who_does_not_lead_writes_nothing(name):
    cluster = Noted()
    with pytest.raises(Retryable, match="does not lead"):
        await call(FencedCluster(cluster, still_leader=lambda: False), name)
    assert cluster.asked == []


PASSES = [(name, True) for name in METHODS] + [(name, False) for name in READS]


@pytest.mark.parametrize(("name", "leads"), PASSES)
async def test_what_passes_is_passed_on_as_it_was_asked(name, leads):
    cluster = Noted()
    answer = await call(FencedCluster(cluster, still_leader=lambda: leads), name)
    assert answer in (None if name == "delete" else name, [name])
    [(asked, args, options)] = cluster.asked
    assert (asked, args, {k: v for k, v in options.items() if v}) == (name, *METHODS[name])


async def test_it_is_asked_before_every_single_write():
    cluster, leads = Noted(), True
    fenced = FencedCluster(cluster, still_leader=lambda: leads)
    await call(fenced, "create")
    leads = False
    with pytest.raises(Retryable):
        await call(fenced, "create")
    assert len(cluster.asked) == 1
