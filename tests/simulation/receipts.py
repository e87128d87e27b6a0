"""What members have signed of their runs, read from their own API servers and held against itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

from hansa.api.kinds import SOVEREIGNNODE
from hansa.grants.envelope import key_id
from hansa.receipts.bundle import Bundle, BundledReceipt, audit
from hansa.receipts.chain import Moment
from hansa.receipts.problems import Problem
from tests.simulation.league import League
from tests.simulation.servers.apiserver import MemCluster

CONFIGMAPS = "/api/v1/configmaps"
PAGE = "hansa-receipts-"
MOST_SKEW_S = 1e6
"""Clocks jump here, and what a receipt says of time is its member's own."""


def receipt_faults(league: League, begun: Mapping[str, set[str]], now_s: float) -> Iterator[str]:
    """Yield what does not hold: every run of every member is tiled once, and has its last receipt."""
    for site, server in league.servers.items():
        if site in league.forgetful:
            # It runs again what had ended, or ends what it does not know: its ledger disputes that.
            continue
        node = league.hub_server.objects[SOVEREIGNNODE.path()][("", site)]
        public = node["spec"]["releaseKey"]
        keys = {key_id(base64.b64decode(public)): public}
        bundle = Bundle(receipts=tuple(_kept(server)), keys=keys)
        found = audit(bundle, keys, Moment(now_s, MOST_SKEW_S))
        for fault in found.faults:
            yield f"{site}: {fault.about}: {fault.why}"
        if found.open_runs:
            yield f"{site}: runs without a last receipt: {found.open_runs}"
        missing = begun[site] - {receipt.run for receipt in found.receipts}
        if missing:
            yield f"{site}: runs without a receipt: {sorted(missing)}"
        numbers = sorted(receipt.sequence for receipt in found.receipts)
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{site}: {Problem.SEQUENCE_GAP.sentence} {numbers}"


def _kept(server: MemCluster) -> Iterator[BundledReceipt]:
    for (_, name), thing in server.objects.get(CONFIGMAPS, {}).items():
        if name.startswith(PAGE):
            for line in (thing.get("data") or {}).values():
                yield BundledReceipt.model_validate({"envelope": json.loads(line)})
