"""The agent at work notices within a minute that its second lock is gone, says so and takes no work."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.api.kinds import MEMBERPOLICY
from tests.apiserver.member.kit import Hub, Member, at_work, until

pytestmark = [pytest.mark.apiserver]
BINDING = "validatingadmissionpolicybindings/hansa-run-pods"


@pytest.fixture
def unbound(member_plane: ControlPlane) -> Iterator[None]:
    """Puts the binding back that a test takes away."""
    kept = json.loads(member_plane.kubectl("get", BINDING, "-o", "json"))
    yield
    for field in ("resourceVersion", "uid"):
        del kept["metadata"][field]
    member_plane.kubectl("create", "-f", "-", stdin=json.dumps(kept))


async def condition(member: Member, status: str) -> dict[str, Any] | None:
    """Return what the policy says of the lock, once it says ``status``."""
    law = await member.cluster.get(MEMBERPOLICY.path(name="local"))
    held = (law.get("status") or {}).get("conditions") or []
    wanted = ("SecondLockHolds", status)
    return next((c for c in held if (c["type"], c["status"]) == wanted), None)


@pytest.mark.usefixtures("unbound")
async def test_a_lock_that_goes_is_noticed_within_a_minute(
    granting_hub: Hub, joined_member: Member, member_plane: ControlPlane
):
    async with at_work(joined_member.agent()):
        await until(lambda: condition(joined_member, "True"), "the lock to hold")
        member_plane.kubectl("delete", BINDING)
        begin = time.monotonic()  # noqa: TID251  # real servers run on real time
        found = await until(lambda: condition(joined_member, "False"), "the lock to be missed")
        took_s = time.monotonic() - begin  # noqa: TID251  # real servers run on real time
        said = await granting_hub.said(await granting_hub.grant(granting_hub.spec()), "Accepted")

    assert took_s < 60
    assert (found["reason"], said["status"]) == ("CanaryAdmitted", "False")
    assert "hansa-run-pods cannot be read" in found["message"]
    assert said["reason"] == "CanaryAdmitted"
