"""A hub that sends whatever it likes, and the member that has to do with it."""

from __future__ import annotations

import orjson

from hansa.adapters.kube.answers import is_object
from hansa.errors import Retryable
from hansa.member import wiring
from hansa.member.cluster.cluster_state import Canary, KubeRay
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.settings import MemberSettings
from hansa.observability.instruments import Instruments
from hansa.ports import Page
from tests import hostile
from tests.hostile import Random
from tests.unit.grants.grant_kit import NODE, NOW_S, policy
from tests.unit.member.small_cluster import SmallCluster

SETTINGS = MemberSettings(node="tartu", timing={"retry_seconds": 0.01, "tick_seconds": 0.02})
LAW = policy(datasets=[], maxConcurrentJobs=10_000)


class Still:
    """A clock that stands."""

    def now(self):
        return NOW_S

    def monotonic(self):
        return 0.0


class HostileHub(SmallCluster):
    """Lists what it likes and answers every write with whatever comes to its mind."""

    def __init__(self, rng: Random) -> None:
        super().__init__(NOW_S)
        self.rng = rng
        self.grants: list = []

    async def list(self, _, **__):
        return Page([one for one in self.grants if is_object(one)], "1")

    def answer(self, body):
        orjson.dumps(body)  # as the client does with all it sends
        if self.rng.randrange(4) == 0:
            raise Retryable("no")
        found = hostile.mutated(self.rng, body, changes=3)
        return found if isinstance(found, dict) else {}

    async def merge(self, _, body):
        return self.answer(body)

    async def create(self, _, body):
        return self.answer(body)

    async def replace(self, _, body):
        return self.answer(body)

    async def apply(self, _, body, **__):
        return self.answer(body)


class OwnCluster(SmallCluster):
    async def apply(self, path, body, **_):
        return self.put(path, body)


def member_of(hub):
    """The agent's parts before that hub."""
    own = OwnCluster(NOW_S)
    clients = wiring.Clients(own, hub, lambda: 0.0, NODE, NOW_S)
    parts = wiring.assemble(
        SETTINGS, clients, clock=Still(), instruments=Instruments("member"), jitter=lambda: 0.0
    )
    state = parts.context.cluster_state
    state.canary, state.kuberay = Canary("Denied", ""), KubeRay("1.6.1", "", "")
    state.resolver = "10.96.0.53"
    state.put_policy(HeldPolicy(LAW, 1, "u", ""))
    return parts
