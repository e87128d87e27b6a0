"""Two audited jobs as the hub shows them when all went as the story says."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from e2e.demo.verification.findings import Change, Seen

RIGHT, MADE_UP = {"accuracy": 0.98}, {"accuracy": 0.99}


def job(name: str, node: str, result: Any, **assurance: str) -> dict[str, Any]:
    status = {"node": node, "result": json.dumps(result), "assurance": assurance}
    return {"metadata": {"name": name, "namespace": "hospital"}, "spec": {}, "status": status}


def audit(number: int, of: str, node: str, result: Any) -> dict[str, Any]:
    again = job(f"audit-{number}", node, result)
    return {**again, "spec": {"audit": {"of": of, "epoch": 1, "node": node}}}


def seen(**changes: Any) -> Seen:
    found: dict[str, Any] = {
        "honest": job("audited", "riga", RIGHT, audit="Passed", message="tartu got the same"),
        "faked": job("made-up", "lisbon", MADE_UP, audit="Failed", message="two agree against it"),
        "audits": [
            audit(1, "audited", "tartu", RIGHT),
            audit(2, "made-up", "riga", RIGHT),
            audit(3, "made-up", "tartu", RIGHT),
        ],
        "level": Change("L1", "L0"),
        "held": Change(Fraction("0.00007"), Fraction()),
        "kitty": Change(Fraction("0.00001"), Fraction("0.00008")),
    }
    return Seen(**{**found, **changes})
