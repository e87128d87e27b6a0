"""The format of grants: it rises with what an agent of an earlier one would refuse, and hubs go by it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from hansa.api.sovereignnode import SovereignNodeStatus
from hansa.api.workgrant import GRANT_FORMAT, WorkGrantSpec
from hansa.model.reasons import Reason
from hansa.reconcile.grant_formats import outdated
from hansa.reconcile.hub.nodes import parse_node, view_node
from tests.unit.reconcile.hub.hub_objects import LIMITS, NOW_S, node_manifest

FIELDS_OF = {1: "843932cce2f604b0"}
"""Format → digest of the fields and words that a grant of it may have.

Where this test fails, a grant may hold what earlier agents refuse (a field that the API server gives a default, too):
then raise ``GRANT_FORMAT`` and add a row. What no agent of the latest released format refuses may replace its digest.
"""


def _readable(schema: Any) -> Any:
    """Return what decides whether a reader knows all of a grant: names of fields, and words of enumerations."""
    if isinstance(schema, dict):
        kept = {"properties", "$defs", "enum", "const", "anyOf", "items", "prefixItems", "$ref"}
        inside = {
            key: _readable(value)
            for key, value in schema.items()
            if key in kept - {"properties", "$defs"}
        }
        for table in ("properties", "$defs"):
            inside |= {
                f"{table}.{name}": _readable(one) for name, one in schema.get(table, {}).items()
            }
        return inside
    return [_readable(one) for one in schema] if isinstance(schema, list) else schema


def test_the_format_rises_with_what_older_agents_refuse():
    text = json.dumps(_readable(WorkGrantSpec.model_json_schema(by_alias=True)), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == FIELDS_OF[GRANT_FORMAT]
    assert max(FIELDS_OF) == GRANT_FORMAT


AGENTS = {
    "of today": ({"agentVersion": "0.1.0", "grantFormat": GRANT_FORMAT}, GRANT_FORMAT, False),
    "of tomorrow": ({"agentVersion": "9.0.0", "grantFormat": 7}, GRANT_FORMAT, False),
    "of a time without formats": ({"agentVersion": "0.0.9"}, 2, True),
    "of yesterday": ({"agentVersion": "0.1.0", "grantFormat": 2}, 3, True),
    "not there yet": ({}, 3, False),
}


@pytest.mark.parametrize("case", AGENTS)
def test_a_hub_knows_whose_agent_would_refuse_every_grant(case):
    status, written, is_old = AGENTS[case]
    said = outdated(SovereignNodeStatus.model_validate(status), written)
    assert bool(said) is is_old
    if is_old:
        assert status["agentVersion"] in said
        assert f"format {written}" in said
        assert said.endswith("upgrade hansa-member there")


def test_no_work_is_placed_at_such_a_node_and_it_says_why(monkeypatch):
    """Else each of its refusals would stand after the upgrade: it goes by the generation of the policy."""
    status = {"agentVersion": "0.1.0", "grantFormat": GRANT_FORMAT}
    monkeypatch.setattr(
        "hansa.reconcile.hub.nodes.outdated", lambda one: outdated(one, GRANT_FORMAT + 1)
    )
    seen = view_node(parse_node(node_manifest(status=status), LIMITS), NOW_S, NOW_S, LIMITS)
    assert seen.site.unavailable is Reason.NODE_NOT_READY
    assert "cannot read its grants" in seen.site.unavailable_message
