"""The agent at work notices within a minute that its second lock is gone or weak, says so and takes no work."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.api.kinds import MEMBERPOLICY
from hansa.member.settings import Timing
from tests.apiserver.member.kit import Hub, Member, at_work, until

pytestmark = [pytest.mark.apiserver]
BINDING = "validatingadmissionpolicybindings/hansa-run-pods"
POLICY = "validatingadmissionpolicies/hansa-run-pods"
WEAKENED: dict[str, tuple[tuple[str, ...], str]] = {
    "no binding": (("delete", BINDING), "hansa-run-pods cannot be read"),
    "no policy": (("delete", POLICY), "hansa-run-pods cannot be read"),
    "a binding that only audits": (
        ("patch", BINDING, "--type=merge", "-p", '{"spec": {"validationActions": ["Audit"]}}'),
        "the binding does not deny",
    ),
    "a policy that ignores failures": (
        ("patch", POLICY, "--type=merge", "-p", '{"spec": {"failurePolicy": "Ignore"}}'),
        "failurePolicy is not Fail",
    ),
}


@pytest.fixture
def mended(member_plane: ControlPlane) -> Iterator[None]:
    """Puts back what a test takes away or weakens."""
    kept = [json.loads(member_plane.kubectl("get", one, "-o", "json")) for one in (BINDING, POLICY)]
    yield
    for one in kept:
        for field in ("resourceVersion", "uid"):
            del one["metadata"][field]
    member_plane.kubectl("delete", BINDING, POLICY, "--ignore-not-found")
    member_plane.kubectl("create", "-f", "-", stdin="\n---\n".join(map(json.dumps, kept)))


async def condition(member: Member, status: str) -> dict[str, Any] | None:
    """Return what the policy says of the lock, once it says ``status``."""
    law = await member.cluster.get(MEMBERPOLICY.path(name="local"))
    held = (law.get("status") or {}).get("conditions") or []
    wanted = ("SecondLockHolds", status)
    return next((c for c in held if (c["type"], c["status"]) == wanted), None)


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize(("weakened", "why"), WEAKENED.values(), ids=WEAKENED)
async def test_a_lock_that_goes_is_noticed_within_a_minute(
    granting_hub: Hub,
    joined_member: Member,
    member_plane: ControlPlane,
    weakened: tuple[str, ...],
    why: str,
):
    async with at_work(joined_member.agent(canary_seconds=1)):
        await until(lambda: condition(joined_member, "True"), "the lock to hold")
        member_plane.kubectl(*weakened)
        found = await until(lambda: condition(joined_member, "False"), "the lock to be missed")
        said = await granting_hub.said(await granting_hub.grant(granting_hub.spec()), "Accepted")

    # One trial notices it. As the agent is shipped, one begins at least so often.
    assert Timing().canary_seconds < 60
    assert (found["reason"], said["status"]) == ("CanaryAdmitted", "False")
    assert why in found["message"]
    assert said["reason"] == "CanaryAdmitted"
