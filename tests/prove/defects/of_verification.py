"""Defects of audits and probes: what a cheat, a hub or an auditor would like to find."""

from __future__ import annotations

from collections.abc import Mapping

from tests.prove.defects.defect import Defect, product

SUITE = "unit/verification"
TICKETS, VERDICT, LEVELS, PROBE, MONEY, COMPARISON = (
    f"{SUITE}/test_tickets.py",
    f"{SUITE}/test_verdict.py",
    f"{SUITE}/test_levels.py",
    f"{SUITE}/probe/test_probe.py",
    "unit/bench/verification/test_verification.py",
    f"{SUITE}/test_comparison.py",
)

VERIFICATION: Mapping[str, Defect] = {
    "a copied commitment cancels a key": product(
        "verification/tickets.py",
        'said = epoch.to_bytes(8, "big") + len(name).to_bytes(4, "big") + name + key',
        'said = epoch.to_bytes(8, "big") + len(name).to_bytes(4, "big") + key',
        TICKETS,
    ),
    "an auditor that is silent chooses its draw": product(
        "verification/tickets.py", "for _ in range(missing):", "for _ in range(0):", TICKETS
    ),
    "what is held counts nine times": product(
        "verification/probability.py",
        "    at_risk = stake.unsettled + stake.bond + stake.payment\n    safety",
        "    at_risk = 9 * (stake.unsettled + stake.bond + stake.payment)\n    safety",
        MONEY,
    ),
    "two nodes of one institution fail a provider": product(
        "verification/verdict.py",
        "whose = {one.institution, one.owner_group or one.institution}",
        "whose = {one.auditor}",
        VERDICT,
    ),
    "two institutions of one owner fail a provider": product(
        "verification/verdict.py",
        "whose = {one.institution, one.owner_group or one.institution}",
        "whose = {one.institution}",
        VERDICT,
    ),
    "one friend confirms a failure": product(
        "verification/verdict.py",
        "if equal and not different and not claimed.failed:",
        "if equal and not different:",
        VERDICT,
    ),
    "a provider audits itself where no law keeps the data at home": product(
        "verification/course/progress.py",
        "is_home_alone = bool(barred) and barred >= {one.node for one in audit.ranking}",
        "is_home_alone = True",
        f"{SUITE}/course/test_progress.py",
    ),
    "a provider says which steps it commits": product(
        "verification/segments.py",
        "if sorted(committed) != list(grid.at):",
        "if not committed:",
        f"{SUITE}/test_segments.py",
    ),
    "whoever keeps its checkpoints is not audited": product(
        "verification/course/segmented.py",
        "whole = [one for one in audit.replies if one.stretch is None or not one.has_run]",
        "whole = [replace(one, has_run=False) for one in audit.replies]",
        f"{SUITE}/course/test_segmented.py",
    ),
    "two auditors that do not agree fail a provider": product(
        "verification/verdict.py", "if both.match is Match.EQUAL:", "if both:", VERDICT
    ),
    "other hardware makes a cheat": product(
        "verification/comparison.py",
        "if not claimed.hardware.is_same(again.hardware):",
        "if False:",
        COMPARISON,
    ),
    "a driver that nobody tells makes a cheat": product(
        "verification/comparison.py",
        "return self == other and self.driver_major is not None",
        "return self == other",
        COMPARISON,
    ),
    "a receipt hides what its owner was told": product(
        "receipts/countersign.py",
        "if signed != ending.result_digest and not (ending.held and not signed):",
        "if signed and signed != ending.result_digest:",
        "unit/receipts/test_countersign.py",
    ),
    "a member decides whether its run is looked at": product(
        "verification/course/claims.py",
        "reason = end_reason if ending is None else ending.reason",
        "reason = end_reason",
        f"{SUITE}/course/test_claims.py",
    ),
    "a failure stands for itself alone": product(
        "verification/consequences.py",
        "if one.run == audited.run or (is_failed and one.failed)",
        "if one.run == audited.run",
        f"{SUITE}/test_consequences.py",
    ),
    "more GPUs are sold at once than there are": product(
        "receipts/chain.py",
        "    if known.gpus is None:\n        return\n",
        "    if True:\n        return\n",
        "unit/receipts/test_chain.py",
    ),
    "evidence outlives a failure": product(
        "verification/levels.py",
        "if one.passed and one.kind is kind and (fallen_s is None or one.at_s > fallen_s)",
        "if one.passed and one.kind is kind",
        LEVELS,
    ),
    "any report lifts a node": product(
        "verification/course/attesting.py",
        "if found.nonce == nonce(node_key, one.epoch, one.root):",
        "if True:",
        f"{SUITE}/course/test_attesting.py",
    ),
    "one device speaks for many nodes": product(
        "verification/course/attesting.py",
        "if one.shown and spoken[one.device] > 1",
        "if one.shown and spoken[one.device] > 9",
        f"{SUITE}/course/test_attesting.py",
    ),
    "a cheat keeps what it has pledged": product(
        "ledger/audits/verdicts.py",
        '            (Event.SEIZE_PLEDGE, body.get("pledges", ())),\n',
        "",
        "unit/ledger/audits/test_pledges.py",
    ),
    "another's segment is confirmed": product(
        "verification/course/segmented.py",
        "if _end(first) == drawn.digest:",
        "if True:",
        f"{SUITE}/course/test_segmented.py",
    ),
    "rows are computed when they are asked for": product(
        "verification/probe/verifier.py",
        "if _root_of(index, challenge.n, leaf, path) != root:",
        "if False:",
        PROBE,
    ),
    "a wrong row of a probe passes": product(
        "verification/probe/tags.py",
        "if tag(product[at : at + len(block)]) != said[index : index + 1]:",
        "if False:",
        f"{SUITE}/probe/test_tags.py",
    ),
    "what a node has not signed counts against it": product(
        "verification/course/probing.py",
        "fault = _not_its_answer(probe.sent, probe.answer)",
        'fault = ""',
        f"{SUITE}/course/test_probing.py",
    ),
    "what was found is not seen after a clock that ran ahead": product(
        "ledger/lookback.py",
        "min(before_ms, now_ms) - BACK_MS",
        "before_ms - BACK_MS",
        "unit/ledger/audits/probes/test_probe_clocks.py",
    ),
    "a product within a tolerance": product(
        "verification/probe/verifier.py",
        "return np.array_equal(_times(combined, b), s @ claimed)",
        "return np.allclose(_times(combined, b), s @ claimed, rtol=5e-4)",
        PROBE,
    ),
}
