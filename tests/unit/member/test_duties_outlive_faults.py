"""The agent's regular duties."""

from __future__ import annotations

from hansa.member.cluster.cluster_state import Canary
from hansa.member.cluster.policy import HeldPolicy
from hansa.member.duties import Duties
from tests.hostile import Random
from tests.unit.member.test_hostile_hub import LAW, HostileHub, member_of


async def test_a_trial_of_the_lock_during_a_change_of_law_says_nothing(monkeypatch):
    """Once a switch from Stopped to Open looked like a lock without its rule for Stopped."""
    parts = member_of(HostileHub(Random(0)))
    state = parts.context.cluster_state

    async def opened_meanwhile(_, law):
        assert law.switch == "Stopped"
        state.put_policy(HeldPolicy(LAW, 3, "u", ""))
        return Canary("Admitted", "stopped")

    state.put_policy(HeldPolicy(LAW.model_copy(update={"switch": "Stopped"}), 2, "u", ""))
    monkeypatch.setattr("hansa.member.duties.second_lock.try_lock", opened_meanwhile)
    await Duties(parts.context).canary()
    assert state.canary == Canary("Denied", "")
