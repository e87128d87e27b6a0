"""Capacity probes from the draw of their time to the level: passed, forged, lost, and all that accuses nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError
from sqlalchemy import Engine

from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import SOVEREIGNNODE
from hansa.ledger.settings import Probes
from tests.unit.ledger.audits.probes.probe_answers import (
    DAY_S,
    PROBING,
    closed,
    forged,
    is_probed,
    probes_of,
    why,
)
from tests.unit.ledger.audits.small_league import SmallLeague
from tests.unit.ledger.audits.small_members import Member, probed


@pytest.fixture
def league(engine: Engine, tmp_path: Path) -> SmallLeague:
    return SmallLeague(engine, tmp_path, probing=PROBING)


async def test_a_node_that_answers_reaches_l2_until_its_answer_is_stale(league: SmallLeague):
    said = await is_probed(league, "tartu")
    assert (said["outcome"], said["backend"]) == ("Passed", "numpy")
    assert said["why"].startswith("64 rows of 64 are exact")
    assert league.level("tartu") == "L2"
    assert "L3 needs a fresh Audit" in why(league, "tartu")
    (job,) = probes_of(league, "tartu")
    assert job["spec"]["residency"]["location"] == {"allow": ["World"]}
    assert not any(job["spec"].get(name) for name in ("data", "secrets", "assurance"))
    await league.tick(29 * DAY_S)
    league.members["tartu"].answer = lambda _: "its law keeps it"
    await league.tick(2 * DAY_S)
    assert league.level("tartu") in {"L0", "L1"}


async def test_with_an_audit_it_reaches_l3(league: SmallLeague):
    await is_probed(league, "tartu")
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    await league.tick()
    assert league.level("tartu") == "L3"


async def test_a_forged_product_costs_the_level_and_a_right_one_brings_it_back(
    league: SmallLeague,
):
    cheat = league.members["tartu"]
    cheat.answer = forged
    said = await is_probed(league, "tartu")
    assert said["outcome"] == "Failed"
    assert "are not of the product" in said["why"]
    assert league.level("tartu") == "L0"
    assert league.audits.figures.probes["Failed"] == 1
    cheat.answer = Member.answer.__get__(cheat)
    league.submit("study", "tartu")
    await league.until(lambda: league.told("study").get("audit") == "Passed")
    await league.tick()
    assert league.level("tartu") == "L0", "neither receipts nor an audit answer a failed probe"
    assert "L1 needs a fresh Probe" in why(league, "tartu")
    assert "that of " in why(league, "tartu")
    await league.tick(21 * DAY_S)
    assert (await is_probed(league, "tartu", 2))["outcome"] == "Passed"
    assert league.level("tartu") == "L3"


def replayed(granted: dict[str, Any]) -> str:
    """What was right for a probe with another seed."""
    spec = granted["jobSpec"]
    program, path, _, *rest = spec["entrypoint"]
    return probed({"entrypoint": [program, path, "00" * 32, *rest]})


async def test_a_replayed_answer_is_a_wrong_one(league: SmallLeague):
    league.members["tartu"].answer = replayed
    assert (await is_probed(league, "tartu"))["outcome"] == "Failed"


def refuses(league: SmallLeague) -> None:
    league.refusing = {"tartu"}


def is_away(league: SmallLeague) -> None:
    league.away = {"tartu"}


def keeps_results(league: SmallLeague) -> None:
    league.members["tartu"].tells_result = False


def mumbles(league: SmallLeague) -> None:
    league.members["tartu"].answer = lambda _: "0.97"


def tells_another(league: SmallLeague) -> None:
    league.changed_result = "changed by whoever may change jobs"


def takes_long(league: SmallLeague) -> None:
    begin(league, within_seconds=60)


def begin(league: SmallLeague, **changes: int) -> None:
    """Have a ledger that sends probes take over."""
    league.probing = PROBING.model_copy(update=changes)
    league.audits = league.opened()


LOST = {
    "its law refuses it": (refuses, "ResidencyDenied: no"),
    "it is away": (is_away, "no answer in 300 s"),
    "its law keeps results at home": (keeps_results, "no digest of a result"),
    "an answer that is none": (mumbles, "cannot be read: tags"),
    "another result than it has signed": (tells_another, "is not the one that it has signed"),
    "a late answer": (takes_long, "60000 ms were allowed"),
}


@pytest.mark.parametrize("case", LOST.values(), ids=LOST)
async def test_what_is_lost_shows_nothing_and_accuses_nobody(league: SmallLeague, case):
    change, words = case
    league.probing = Probes()
    league.audits = league.opened()
    league.submit("before", "tartu")
    await league.ticks(12)
    assert "no Probe was shown" in why(league, "tartu")
    begin(league)
    change(league)
    said = await is_probed(league, "tartu")
    assert said["outcome"] == "Lost"
    assert words in said["why"]
    assert league.level("tartu") == "L1"
    assert words in why(league, "tartu")
    assert ("university", "kitty") not in league.accounts()
    assert all(job.get("status", {}).get("node") for job in probes_of(league, "tartu"))


async def test_one_that_was_lost_is_tried_again_soon(league: SmallLeague):
    league.away = {"tartu"}
    assert (await is_probed(league, "tartu"))["outcome"] == "Lost"
    league.away = set()
    assert (await is_probed(league, "tartu", 2))["outcome"] == "Passed"
    assert league.level("tartu") == "L2"


async def test_what_somebody_has_changed_accuses_nobody(league: SmallLeague):
    """Whoever may change jobs of that namespace can ask a node for another product."""
    await league.until(lambda: bool(probes_of(league, "tartu")))
    (job,) = probes_of(league, "tartu")
    entry = list(job["spec"]["entrypoint"])
    entry[2] = "00" * 32
    league.tamper(job, entrypoint=entry)
    said = await is_probed(league, "tartu")
    assert (said["outcome"], said["why"]) == ("Lost", "it ran something else than what was asked")


async def test_what_somebody_deletes_is_made_again(league: SmallLeague):
    await league.until(lambda: bool(probes_of(league, "tartu")))
    (job,) = probes_of(league, "tartu")
    league.forget(job)
    assert (await is_probed(league, "tartu"))["outcome"] == "Passed"


async def test_a_key_that_was_replaced_has_shown_nothing(league: SmallLeague):
    await is_probed(league, "tartu")
    league.members["tartu"].signer = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))
    league.move("tartu")
    await league.tick()
    assert league.level("tartu") == "L0"


async def test_a_ledger_that_is_killed_at_every_step_does_the_same(league: SmallLeague):
    for _ in range(80):
        league.audits = league.opened()
        league.crash_after = league.crash_after % 7 + 1
        await league.tick()
    assert [one["outcome"] for one in closed(league, "tartu")] == ["Passed"]
    assert len(probes_of(league, "tartu")) == 1
    assert league.level("tartu") == "L2"


async def test_each_node_is_probed_at_a_time_of_its_own_that_nobody_is_told(league: SmallLeague):
    await league.until(lambda: all(closed(league, node) for node in league.members))
    await league.tick()
    words = [word for _, word in league.audits._parts.book.words("Planned")]
    times = [word.body["dueS"] for word in words]
    assert len(times) == len(set(times)) == 2 * len(league.members)
    asked = [word.body for _, word in league.audits._parts.book.words("Sent")]
    assert len({one[name] for one in asked for name in ("seed", "nonce")}) == 2 * len(asked)
    told = json.dumps(list(league.hub.objects.values()), default=str)
    assert all(one["seed"] in told and one["nonce"] not in told for one in asked)


INVENTORIES = {
    "no GPUs": ([], None),
    "GPUs of two classes": (
        [
            {"gpuClass": name, "memory": "24Gi", "total": 2}
            for name in ("nvidia-rtx-4090", "nvidia-l40s")
        ],
        {"nvidia-rtx-4090", "nvidia-l40s"},
    ),
    "none of its class left": ([{"gpuClass": "nvidia-l40s", "memory": "1Gi", "total": 0}], None),
    "what nobody can read": ([{"gpuClass": 7}], None),
}


@pytest.mark.parametrize("case", INVENTORIES.values(), ids=INVENTORIES)
async def test_a_gpu_of_what_the_node_says_it_has_is_asked(league: SmallLeague, case):
    inventory, classes = case
    path = SOVEREIGNNODE.path(name="tartu")
    league.hub.objects[path]["status"]["inventory"] = inventory
    await league.until(lambda: bool(probes_of(league, "tartu")))
    spec = probes_of(league, "tartu")[0]["spec"]
    workers = spec["ray"]["workers"]
    assert (spec["entrypoint"][-1] == "1") is bool(classes)
    assert (workers.get("gpuClass") in classes) if classes else ("gpus" not in workers)


async def test_without_settings_nothing_is_sent(engine: Engine, tmp_path: Path):
    league = SmallLeague(engine, tmp_path)
    await league.ticks(30)
    assert not probes_of(league, "tartu")
    assert list(league.audits._parts.book.words("Planned")) == []


NO_JOB = {
    "an image by tag": (
        {"image": "registry.example/ray:2"},
        "probes.image: must name the image by digest",
    ),
    "a pool that is no name": ({"pool": "My Pool"}, "probes.pool: "),
    "a Ray below the floor": ({"ray_version": "2.40.0"}, "probes.rayVersion: .*2.54"),
}


@pytest.mark.parametrize("case", NO_JOB.values(), ids=NO_JOB)
def test_settings_that_make_no_job_are_refused_at_the_start(case):
    """Else each probe would be refused by the API server, for a day each, and no node would reach L2."""
    changes, words = case
    whole = PROBING.model_dump() | {"namespace": "hospital"}
    with pytest.raises(ValidationError, match=words):
        Probes(**whole | changes)


def test_settings_that_are_half_there_are_refused():
    with pytest.raises(ValidationError, match="give pool and image too"):
        Probes(namespace="hospital", pool="league")
