"""A job with unattended time whose node goes away."""

from __future__ import annotations

from hansa.api.kinds import SOVEREIGNNODE
from tests.unit.hub import kit
from tests.unit.hub.driving import driven

UNATTENDED_S = 3600
STUDY = kit.job_path("study")


def wait(hub, seconds=1.0, times=3):
    for _ in range(times):
        hub.clock.now_s += seconds
        if SOVEREIGNNODE.path(name="riga") in hub.store.objects:
            kit.beat(hub.store, "riga")
        driven(hub.controller.tick())
        hub.queue.come_back()
        hub.settle_down()
