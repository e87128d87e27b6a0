"""Work verified in a running league: hub, ledger and API server are real, members sign for runs that are none.

Ledger and members have the accounts that the chart gives them, and its policies hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.controlplane import ControlPlane
from hansa.adapters.keys import Ed25519Signer
from hansa.api.kinds import AIJOB, SOVEREIGNNODE
from hansa.api.meta import INSTITUTION_LABEL
from hansa.api.workgrant import WorkGrantSpec
from hansa.errors import HansaError
from hansa.ledger.audits.book import AuditBook
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.reader import LedgerReader
from hansa.member.witness.auditor import Auditor
from hansa.model.times import rfc3339
from hansa.receipts.chain import Head
from hansa.receipts.envelope import seal, unseal, wire
from hansa.receipts.metering import MeteredRun, Sight, draw, due
from hansa.reconcile.member.usage.work_terms import Terms, work_of
from tests.apiserver.charts.charted import hub_installed
from tests.apiserver.hub.league import CLOCK, IMAGE, League, ScriptedMember, b64
from tests.apiserver.hub.process import until
from tests.apiserver.ledger.process import LedgerProcess, own_kubeconfig
from tests.probe_kit import run_probe
from tests.unit.member.small_cluster import SmallCluster
from tests.unit.verification.course.trainer import GRID, STEPS, Trainer

pytestmark = pytest.mark.apiserver
RUN_S = 2
AUDITS = {
    "HANSA_LEDGER_INTAKE__INTERVAL_SECONDS": "0.5",
    "HANSA_LEDGER_AUDITS__INTERVAL_SECONDS": "0.5",
    "HANSA_LEDGER_AUDITS__EPOCH_SECONDS": "4",
    "HANSA_LEDGER_AUDITS__REVEAL_SECONDS": "3",
    "HANSA_LEDGER_TERMS__PENDING_SECONDS": "0",
}


LEDGER = {"settings": {"probes": {"namespace": "probes"}}}


@pytest.fixture(scope="module")
def hub_plane(binaries: Binaries) -> Iterator[ControlPlane]:
    """An API server with the hub's chart: its accounts, rights and policies."""
    with hub_installed(binaries, ledger=LEDGER) as charted:
        yield charted.plane


@contextlib.contextmanager
def ledger_over(
    plane: ControlPlane, key_file: Path, folder: Path, **settings: str
) -> Iterator[LedgerProcess]:
    """Run a ledger that knows all nodes from its first look on."""
    files = {
        "HANSA_LEDGER_SIGNING__KEY_FILE": str(key_file),
        "HANSA_LEDGER_LOG__FOLDER": str(folder / "log"),
        "HANSA_LEDGER_LOG__INDEX": str(folder / "leaves.db"),
    }
    process = LedgerProcess(own_kubeconfig(plane, folder), folder, **AUDITS, **files, **settings)
    try:
        yield process
    finally:
        assert process.end() == 0, process.log


@dataclass
class SigningMember(ScriptedMember):
    """A member that signs a receipt for each run, and takes part in drawing audits."""

    hub_key: Ed25519Signer | None = None
    head: Head = field(default_factory=Head)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    auditor: Auditor | None = None
    code: Path | None = None
    """Where the programs of probes are; None: what they ask is not computed."""
    trainer: Trainer = field(default_factory=Trainer)
    """What its runs of jobs that commit checkpoints do."""
    kept: dict[str, Any] = field(default_factory=dict)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run())
            group.create_task(self._speak())

    async def _speak(self) -> None:
        self.auditor = Auditor(self.signer, SmallCluster(CLOCK.now()), "hansa")
        while True:
            with contextlib.suppress(HansaError):
                node = await self.hub.get(SOVEREIGNNODE.path(name=self.name))
                await self.auditor.hear(node, {self.hub_key.key_id: self.hub_key.public_key})
                await self.publish()
            await asyncio.sleep(0.5)

    async def publish(self, **changes: Any) -> None:
        receipts = {"outbox": self.outbox, "waiting": len(self.outbox)} if self.outbox else None
        audits = self.auditor.wire if self.auditor else None
        await super().publish(receipts=receipts, audits=audits or None, **changes)

    async def answer_to(self, grant: dict[str, Any]) -> str:
        """Return a run's result."""
        spec = grant["spec"]["jobSpec"]
        audit = spec.get("audit") or {"of": ""}
        if "checkpoints" in (spec.get("comparator") or {}):
            return self.trainer.run(audit.get("segment"), self.kept)
        if "of" in audit or self.code is None:
            return self.result
        return await asyncio.to_thread(run_probe, grant["spec"]["jobSpec"], self.code)

    async def finish(self, grant: dict[str, Any]) -> dict[str, Any]:
        result = await self.answer_to(grant)
        began_s = int(CLOCK.now())
        await asyncio.sleep(RUN_S)
        node = await self.hub.get(SOVEREIGNNODE.path(name=self.name))
        terms = Terms(self.signer.key_id, "EE", "", node["spec"], began_s)
        work = work_of(WorkGrantSpec.model_validate(grant["spec"]), terms)
        digest = "sha256:" + hashlib.sha256(result.encode()).hexdigest()
        metered = MeteredRun(work=work, until=rfc3339(began_s), result_digest=digest)
        end_s = int(CLOCK.now())
        sight = Sight(end_s, over=True, ended_s=end_s, end_reason="Succeeded")
        for stretch in due(metered, sight):
            receipt = draw(self.head, metered, sight, stretch)
            sealed = wire(seal(receipt, self.signer))
            opened = unseal(sealed, {self.signer.key_id: self.signer.public_key})
            self.head = Head(receipt.sequence, opened.digest, receipt.issued_s)
            self.outbox.append(sealed)
        return await super().finish(grant) | {"result": result}


@pytest.fixture
def signing(league: League, hub) -> League:
    key = Ed25519Signer.from_file(hub.key_file)
    league.member_type = lambda name, at, signer: SigningMember(name, at, signer, hub_key=key)
    return league


async def told(league: League, name: str, audit: str) -> dict[str, Any]:
    """Wait until a job's owner is told this of its audit."""

    def fits(job: dict[str, Any]) -> bool:
        return job.get("status", {}).get("assurance", {}).get("audit") == audit

    job = await league.sees(lambda: league.job(name), fits, f"{name} is told {audit}")
    return dict(job["status"]["assurance"])


async def level(league: League, node: str, wanted: str) -> dict[str, Any]:
    """Wait until the league says that a node has shown this level."""

    def fits(thing: dict[str, Any]) -> bool:
        return thing.get("status", {}).get("assurance", {}).get("level") == wanted

    path = SOVEREIGNNODE.path(name=node)
    thing = await league.sees(lambda: league.admin.get(path), fits, f"{node} at {wanted}")
    return dict(thing["status"]["assurance"])


async def audits_of(league: League, name: str) -> list[dict[str, Any]]:
    every = (await league.admin.list(AIJOB.path("clinic"))).items
    found = [one for one in every if (one["spec"].get("audit") or {}).get("of") == name]
    return sorted(found, key=lambda one: one["metadata"]["name"])


def balances(ledger: LedgerProcess) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for (_, account), micros in LedgerReader(open_engine(ledger.url)).books().balances.items():
        key = account.institution, account.kind.value
        found[key] = found.get(key, 0) + micros
    return found


async def test_one_is_found_equal_and_a_cheat_is_found_and_pays(
    signing: League, hub, hub_plane: ControlPlane, tmp_path: Path
):
    league = signing
    await hub.ready()
    exact = {"comparator": {"absolute": "0.001"}}
    async with (
        contextlib.AsyncExitStack() as stack,
        league.node("riga", "finish", cpuHourPrice="72"),
        league.node("lisbon", "finish", cpuHourPrice="72"),
        league.node("parnu", "finish", cpuHourPrice="36") as cheat,
    ):
        ledger = stack.enter_context(ledger_over(hub_plane, hub.key_file, tmp_path))
        await until(lambda: ledger.page("/readyz") == "ok", what="the ledger to be ready")
        await league.submit("honest", **exact)
        said = await told(league, "honest", "Passed")
        (audit,) = await audits_of(league, "honest")
        assert audit["status"]["node"] in {"riga", "lisbon"}
        assert said["message"] == f"{audit['status']['node']} got the same"
        assert (await league.job("honest"))["status"]["node"] == "parnu"
        await level(league, "parnu", "L1")

        await league.submit("asks", assurance="L1", **exact)
        assert (await league.job_becomes("asks", "Succeeded"))["status"]["node"] == "parnu"
        held = await league.sees(
            _async(lambda: balances(ledger).get(("parnu", "holdback"), 0)),
            lambda micros: micros > 0,
            "something of it is held back",
        )

        cheat.result = "0.99"
        await league.submit("faked", **exact)
        said = await told(league, "faked", "Failed")
        assert "result: 0.99 and 0.97 are further apart than declared" in said["message"]
        assert said["reached"] == "L0"
        assert len(await audits_of(league, "faked")) == 2
        now = balances(ledger)
        assert now["parnu", "kitty"] >= held
        assert now.get(("parnu", "holdback"), 0) == 0
        fallen = await level(league, "parnu", "L0")
        assert "voided by a failure" in fallen["why"]

        # It is the cheapest still, and gets no work that asks for more than nothing.
        await league.submit("careful", assurance="L1", **exact)
        done = await league.job_becomes("careful", "Succeeded")
        assert done["status"]["node"] in {"riga", "lisbon"}
        failed = 'hansa_decided_audits{verdict="Failed"} 1.0'
        await until(lambda: failed in ledger.page("/metrics"), what=failed)
        assert "Traceback" not in ledger.log


async def test_a_step_that_a_fine_tuning_skipped_is_halved_down_and_run_by_a_third(
    signing: League, hub, hub_plane: ControlPlane, tmp_path: Path
):
    league, kept = signing, {}
    await hub.ready()
    tuning = {"comparator": {"checkpoints": GRID}, "result": {"maxBytes": 4096}}
    async with (
        contextlib.AsyncExitStack() as stack,
        league.node("riga", "finish", cpuHourPrice="72") as riga,
        league.node("lisbon", "finish", cpuHourPrice="72") as lisbon,
        league.node("parnu", "finish", cpuHourPrice="36") as cheat,
    ):
        for member in (riga, lisbon, cheat):
            member.kept = kept
        ledger = stack.enter_context(ledger_over(hub_plane, hub.key_file, tmp_path))
        await until(lambda: ledger.page("/readyz") == "ok", what="the ledger to be ready")
        await league.submit("tuned", **tuning)
        said = await told(league, "tuned", "Passed")
        (audit,) = await audits_of(league, "tuned")
        assert said["message"].startswith(f"of steps {audit['spec']['audit']['segment']['first']} ")
        cheat.trainer = Trainer(skips=range(0, STEPS, GRID["every"]))
        await league.submit("skimped", **tuning)
        said = await told(league, "skimped", "Failed")
        parts = [one["spec"]["audit"] for one in await audits_of(league, "skimped")]
        assert [one["segment"]["last"] - one["segment"]["first"] for one in parts] == [8, 8, 1]
        assert parts[1]["node"] == "parnu"
        assert {parts[0]["node"], parts[2]["node"]} == {"riga", "lisbon"}
        assert "Traceback" not in ledger.log


PROBES = {
    "HANSA_LEDGER_PROBES__NAMESPACE": "probes",
    "HANSA_LEDGER_PROBES__POOL": "league",
    "HANSA_LEDGER_PROBES__IMAGE": IMAGE,
    "HANSA_LEDGER_PROBES__SIZE": "256",
    "HANSA_LEDGER_PROBES__RETRY_SECONDS": "2",
}


async def test_a_node_is_probed_and_then_takes_work_that_asks_for_it(
    signing: League, hub, hub_plane: ControlPlane, tmp_path: Path
):
    league = signing
    await hub.ready()
    labels = {"name": "probes", "labels": {INSTITUTION_LABEL: "league"}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": labels}
    await league.admin.apply("/api/v1/namespaces/probes", namespace, manager="test")
    async with (
        contextlib.AsyncExitStack() as stack,
        league.node("riga", "finish", cpuHourPrice="72") as honest,
        league.node("parnu", "finish", cpuHourPrice="36") as cheat,
        league.node("lisbon", "refuse", cpuHourPrice="36"),
    ):
        honest.code = tmp_path / "code"
        cheat.result = json.dumps({"backend": "torch", "tags": b64(bytes(256))})
        await league.submit("waits", assurance="L2")
        ledger = stack.enter_context(ledger_over(hub_plane, hub.key_file, tmp_path, **PROBES))
        await until(lambda: ledger.page("/readyz") == "ok", what="the ledger to be ready")
        await level(league, "riga", "L2")
        done = await league.job_becomes("waits", "Succeeded")
        assert done["status"]["node"] == "riga"

        page = _async(lambda: ledger.page("/metrics"))
        failed = 'hansa_decided_probes{outcome="Failed"} 1.0'
        await league.sees(page, lambda text: failed in text, "the cheat's probe has failed")
        # Its receipts may lift it to L1 again.
        parnu = SOVEREIGNNODE.path(name="parnu")
        await league.sees(
            lambda: league.admin.get(parnu),
            lambda thing: "voided by a failure" in str(thing["status"].get("assurance")),
            "parnu has lost what it had shown",
        )
        assert "riga" in {one["node"] for one in closed(ledger) if one["outcome"] == "Passed"}
        await until(lambda: bool(lost_at(ledger, "lisbon")), what="a refused probe is lost")
        assert "We do not work for them." in lost_at(ledger, "lisbon")[0]["why"]

        # Its institution pays, and nobody sees beforehand what will be drawn.
        jobs = (await league.admin.list(AIJOB.path("probes"))).items
        sent = [word.body for _, word in AuditBook(open_engine(ledger.url)).words("Sent")]
        assert {one["spec"]["audit"]["node"] for one in jobs} >= {"riga", "parnu"}
        assert not any(one["nonce"] in json.dumps(jobs) for one in sent)
        assert "league" in {institution for institution, _ in balances(ledger)}
        assert "Traceback" not in ledger.log


def closed(ledger: LedgerProcess) -> list[dict[str, Any]]:
    """What became of the probes that are over."""
    book = AuditBook(open_engine(ledger.url))
    return [dict(word.body) for _, word in book.words("Probed")]


def lost_at(ledger: LedgerProcess, node: str) -> list[dict[str, Any]]:
    return [one for one in closed(ledger) if (one["node"], one["outcome"]) == (node, "Lost")]


def _async(what):
    async def call():
        return what()

    return call
