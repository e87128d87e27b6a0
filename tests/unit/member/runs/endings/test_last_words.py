"""The last words of a container that died: its end, whatever stands before it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hansa.errors import Retryable
from hansa.member.run_settings import Runs
from hansa.member.runs.run_objects import RunObjects
from hansa.reconcile.member.outgoing import LEFT_OUT
from hansa.reconcile.member.workload import DeadPod

TRACE = "Traceback (most recent call last):\n  File train.py\nValueError: NaN\n"
BAR = "\r".join(f"{number:>9} of 9000 steps" for number in range(9000))


class Kubelet:
    """A log, as far as it is asked for."""

    def __init__(self, log: str):
        self.log = log

    async def text(self, _: str, query: Any) -> str:
        lines = self.log.removesuffix("\n").split("\n")[-int(query["tailLines"]) :]
        return ("\n".join(lines) + "\n").encode()[: int(query["limitBytes"])].decode()


async def words(log: str | None) -> str:
    settings = SimpleNamespace(namespace="hansa-system", runs=Runs())
    own = Kubelet(log) if log is not None else SimpleNamespace(text=away)
    objects = RunObjects(SimpleNamespace(own=own, settings=settings, clock=None))
    pod = DeadPod(pod="head", role="Head", reason="Error", container="ray-head")
    return await objects.last_words(SimpleNamespace(name="run"), pod)


async def away(*_: Any) -> str:
    raise Retryable("the kubelet is away")


SAID = {
    "a trace": (TRACE, TRACE),
    "a trace behind a progress bar": (f"{BAR}\n{TRACE}", TRACE),
    "a trace that goes on in its line": (f"{BAR}{TRACE}", TRACE.partition("\n")[2]),
    "a bar and nothing else": (BAR, LEFT_OUT),
    "nothing to be had": (None, ""),
}


@pytest.mark.parametrize("case", SAID)
async def test_the_end_is_told(case):
    log, expected = SAID[case]
    assert await words(log) == expected
