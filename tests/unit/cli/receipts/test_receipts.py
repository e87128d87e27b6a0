"""``kubectl hansa receipts`` finds a job's receipts on the hub and at its member."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.api.kinds import AIJOB, MEMBERPOLICY, SOVEREIGNNODE
from hansa.cli.access import Access
from hansa.cli.receipts.receipts import receipts
from hansa.errors import Terminal
from hansa.receipts.bundle import read_bundle
from hansa.receipts.envelope import cosign, seal, wire
from tests.unit.member.small_cluster import SmallCluster
from tests.unit.receipts.receipt_kit import HUB, NODE, NOW_S, UID, history, opened

CHEATED = "its node was found to have cheated, in it or in another run"
OTHER_UID = UID.replace("0f8c", "ffff")
FIRST, SECOND, LAST = [wire(seal(receipt, NODE)) for receipt in history()]
FOREIGN = wire(seal(history(job_uid=OTHER_UID)[0], NODE))


@pytest.fixture
def cluster(monkeypatch) -> SmallCluster:
    made = SmallCluster(NOW_S)
    made.namespace = "lab"
    made.put(AIJOB.path("lab", "train"), {"metadata": {"name": "train", "uid": UID}})
    monkeypatch.setattr(Access, "ask", lambda _, question: asyncio.run(question(made)))
    return made


def with_node(cluster: SmallCluster, outbox: object) -> None:
    status = {"receipts": {"outbox": outbox}}
    spec = {"releaseKey": NODE.public_key}
    path = SOVEREIGNNODE.path(name="tartu")
    cluster.put(path, {"metadata": {"name": "tartu"}, "spec": spec, "status": status})


def run(*options: str):
    return CliRunner().invoke(receipts, options)


def test_on_the_hub_by_name_and_by_uid(cluster: SmallCluster):
    both = wire(cosign(seal(history()[1], NODE), HUB))
    with_node(cluster, [FIRST, FOREIGN, both, {"payload": "?"}, "x"])
    for job in ("train", UID):
        done = run(job)
        assert done.exit_code == 0, done.exception
        first, second = done.output.splitlines()
        assert first.startswith(
            "tartu 1: run 1, part 1, 2027-01-15T08:00:00Z to 2027-01-15T08:05:00Z"
        )
        assert "600 GPU-seconds, 900 CPU-seconds, 90000 J" in first
        assert "countersigned" not in first
        assert second.endswith("countersigned")


def test_at_the_member_all_that_it_keeps(cluster: SmallCluster, tmp_path: Path):
    pages = "/api/v1/namespaces/hansa-system/configmaps"
    lines = {f"{at:016d}": json.dumps(one) for at, one in enumerate((FIRST, SECOND, LAST), 1)}
    cluster.put(
        f"{pages}/hansa-receipts-0", {"metadata": {"name": "hansa-receipts-0"}, "data": lines}
    )
    cluster.put(
        f"{pages}/hansa-epochs-0", {"metadata": {"name": "hansa-epochs-0"}, "data": {"a": "b"}}
    )
    hubs = {"spec": {"trustedHubs": [{"name": "hub", "publicKey": HUB.public_key}]}}
    cluster.put(MEMBERPOLICY.path(name="local"), {"metadata": {"name": "local"}, **hubs})
    file = tmp_path / "bundle.json"
    done = run(UID, "--at-member", "hansa-system", "--bundle", str(file))
    assert done.exit_code == 0, done.exception
    assert "3 receipts written" in done.output
    bundle = read_bundle(file.read_bytes())
    assert not isinstance(bundle, str)
    assert len(bundle.receipts) == 3
    assert bundle.keys == {HUB.key_id: HUB.public_key}


def test_at_the_member_what_the_ledger_has_handed_it(cluster: SmallCluster, tmp_path: Path):
    pages = "/api/v1/namespaces/hansa-system/configmaps"
    lines = {f"{at:016d}": json.dumps(one) for at, one in enumerate((FIRST, SECOND, LAST), 1)}
    cluster.put(
        f"{pages}/hansa-receipts-0", {"metadata": {"name": "hansa-receipts-0"}, "data": lines}
    )
    first, _, last = (opened(one).digest for one in history())
    proved = {"sequence": 3, "digest": last, "proof": "c2sp.org/tlog-proof@v1"}
    against = {"digest": first, "fault": "Differs", "field": "gpus", "message": "2, not 1"}
    told = {"proved": json.dumps(proved), "a.Differs.gpus": json.dumps(against)}
    cluster.put(
        f"{pages}/hansa-receipts-told", {"metadata": {"name": "hansa-receipts-told"}, "data": told}
    )
    cluster.put(MEMBERPOLICY.path(name="local"), {"metadata": {"name": "local"}, "spec": {}})
    file = tmp_path / "bundle.json"
    assert run(UID, "--at-member", "hansa-system", "--bundle", str(file)).exit_code == 0
    bundle = read_bundle(file.read_bytes())
    assert not isinstance(bundle, str)
    assert [one.proof for one in bundle.receipts] == [None, None, proved["proof"]]
    assert [[d.message for d in one.differences] for one in bundle.receipts] == [
        ["2, not 1"],
        [],
        [],
    ]


@pytest.mark.usefixtures("cluster")
def test_a_member_knows_no_names():
    done = run("train", "--at-member", "hansa-system")
    assert isinstance(done.exception, Terminal)
    assert "by uid" in str(done.exception)


def test_none_is_said(cluster: SmallCluster):
    with_node(cluster, [FOREIGN])
    assert "no receipts here" in run("train").output


def test_on_which_runs_not_to_rely_is_said(cluster: SmallCluster):
    with_node(cluster, [FIRST])
    known = {"metadata": {"name": "train", "uid": UID}}
    cluster.put(
        AIJOB.path("lab", "train"), {**known, "status": {"assurance": {"doubtful": [1, 3]}}}
    )
    lines = run("train").output.splitlines()
    assert lines[1:] == [f"run {n}: Doubtful, {CHEATED}" for n in (1, 3)]
    cluster.put(AIJOB.path("lab", "train"), {**known, "status": {"assurance": {}}})
    assert len(run("train").output.splitlines()) == 1
