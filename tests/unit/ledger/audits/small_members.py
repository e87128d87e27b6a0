"""Members as far as the ledger sees them: they run nothing, and sign all."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hansa.adapters.keys import Ed25519Signer
from hansa.api.workgrant import WorkGrantSpec
from hansa.member.witness.auditor import Auditor
from hansa.member.witness.hardware import HardwareShower
from hansa.model.times import rfc3339
from hansa.receipts.chain import Head
from hansa.receipts.envelope import seal, unseal, wire
from hansa.receipts.metering import MeteredRun, Sight, draw, due
from hansa.reconcile.member.end_reasons import EndReason
from hansa.reconcile.member.usage.work_terms import Terms, work_of
from hansa.verification.probe.prover import commit
from tests.unit.grants.grant_kit import NOW_S
from tests.unit.member.small_cluster import SmallCluster
from tests.unit.verification.course.trainer import Trainer

RUN_S = 60
INSTITUTIONS = {"tartu": "university", "riga": "telecom", "lisbon": "miner", "oslo": "lab"}
PRICES = [{"gpuClass": "nvidia-rtx-4090", "perGpuHour": "3.60"}]


def probed(spec: dict[str, Any]) -> str:
    """Return what a probe's program writes, by its arguments."""
    _, _, seed, n, _ = spec["entrypoint"]
    return json.dumps(commit(bytes.fromhex(seed), int(n)))


class Member:
    """A member's agent as far as the ledger sees it. ``result``: what its runs give."""

    def __init__(self, name: str) -> None:
        self.name, self.institution = name, INSTITUTIONS[name]
        seed = hashlib.sha256(name.encode()).digest()
        self.signer = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed))
        self.own = SmallCluster(NOW_S)
        self.auditor = Auditor(self.signer, self.own, "hansa")
        self.hardware = HardwareShower(self.signer.key_id, self.own, "hansa")
        self.head, self.outbox, self.result = Head(), [], "0.97"
        self.takes_part, self.tells_result = True, True
        self.end, self.signed_end = "Succeeded", ""
        """Why its runs end, as it tells the hub, and in its receipts where they say otherwise."""
        self.hides_digest = self.tells_late = False
        """Its receipts say nothing of the result that it told; it tells the hub when they are taken."""
        self.changes: dict[str, str] = {}
        self.trainer: Trainer | None = None
        """What its runs of jobs that commit checkpoints do."""
        self.kept: dict[str, Any] = {}
        """States by digest, where its runs find them; without, no segment can be begun."""
        self.root = ""
        """Another root than that for which it reveals keys; empty: it does not lie."""

    @property
    def spec(self) -> dict[str, Any]:
        return {
            "institution": self.institution,
            "jurisdiction": "EE",
            "legalControl": ["EE"],
            "accepted": "Accepted",
            "releaseKey": self.signer.public_key,
            "prices": PRICES,
        } | self.changes

    @property
    def audits(self) -> dict[str, Any]:
        said = self.auditor.wire
        if self.root and "reveal" in said:
            said["reveal"] |= {"root": self.root}
        return said

    def answer(self, granted: dict[str, Any]) -> str:
        """Return the result of a run, as its program writes it."""
        spec = granted["jobSpec"]
        audit = spec.get("audit") or {"of": ""}
        if (spec.get("comparator") or {}).get("checkpoints") and self.trainer:
            return self.trainer.run(audit.get("segment"), self.kept)
        return self.result if "of" in audit else probed(spec)

    def ends(self, granted: dict[str, Any]) -> str:
        """Return why a run ends: its program fails where it cannot begin at the state that it has to."""
        segment = (granted["jobSpec"].get("audit") or {}).get("segment")
        return "AppFailed" if segment and segment["state"] not in self.kept else self.end

    def run(self, granted: dict[str, Any], end_s: float) -> None:
        """Sign the one receipt of a run that has just ended."""
        gpu_class = "nvidia-rtx-4090" if granted["jobSpec"]["ray"].get("workers") else ""
        terms = Terms(self.signer.key_id, "EE", gpu_class, self.spec, NOW_S)
        work = work_of(WorkGrantSpec.model_validate(granted), terms)
        end, told = self.ends(granted), None
        if self.tells_result and not self.hides_digest and end == "Succeeded":
            told = "sha256:" + hashlib.sha256(self.answer(granted).encode()).hexdigest()
        metered = MeteredRun(work=work, until=rfc3339(end_s - RUN_S), result_digest=told)
        sight = Sight(int(end_s), over=True, ended_s=int(end_s), end_reason=self.signed_end or end)
        for stretch in due(metered, sight):
            receipt = draw(self.head, metered, sight, stretch)
            sealed = seal(receipt, self.signer)
            opened = unseal(wire(sealed), {self.signer.key_id: self.signer.public_key})
            self.head = Head(receipt.sequence, opened.digest, receipt.issued_s)
            self.outbox.append(wire(sealed))

    def tell(self, granted: dict[str, Any], end_s: float) -> dict[str, Any]:
        """Return the status of the grant of a run that has ended."""
        end = self.ends(granted)
        verdict = EndReason(end).verdict
        rows = [("Running", "False"), (verdict, "True")][: 1 if verdict == "Interrupted" else 2]
        said = [{"type": kind, "status": is_so, "reason": end} for kind, is_so in rows]
        told = self.tells_result and end == "Succeeded"
        result = {"result": self.answer(granted)} if told else {}
        return {"finishedAt": rfc3339(end_s), "conditions": said} | result
