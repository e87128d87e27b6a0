"""What the API servers of the testbed write down: every write, and pods in full."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AUDIT_POLICY: dict[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {
            "level": "None",
            "resources": [
                {"group": "coordination.k8s.io", "resources": ["leases"]},
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io", "resources": ["events"]},
            ],
        },
        {
            "level": "RequestResponse",
            "verbs": ["create", "patch"],
            "resources": [{"group": "", "resources": ["pods", "pods/binding"]}],
        },
        {"level": "Metadata"},
    ],
}
"""Whole pods and where they were bound, so that a test can examine every placement; an apply is a patch."""


def writes_of(user: str, group: str, *resources: str) -> dict[str, object]:
    """Return a policy that writes down what one user wrote of these resources, and nothing else."""
    chosen = {
        "level": "Metadata",
        "users": [user],
        "verbs": ["create", "update", "patch", "delete"],
        "resources": [{"group": group, "resources": [*resources]}],
    }
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [chosen, {"level": "None"}],
    }


def read_events(log: Path) -> Iterator[dict[str, Any]]:
    """Yield an audit log's events so far, oldest first; a half-written last line is left."""
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
