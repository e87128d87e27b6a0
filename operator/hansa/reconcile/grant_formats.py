"""Which agents can read a hub's grants, so that none is written that would be refused for its form."""

from __future__ import annotations

from hansa.api.sovereignnode import SovereignNodeStatus
from hansa.api.workgrant import GRANT_FORMAT


def outdated(status: SovereignNodeStatus, written: int = GRANT_FORMAT) -> str:
    """Return why a node's agent would refuse every grant; empty: it reads them. ``written``: the hub's format.

    Its refusals would stand after it was upgraded, for nothing of its policy has changed by that.
    """
    if status.agent_version is None or status.grant_format >= written:
        return ""
    return (
        f"its agent (version {status.agent_version}) is older than this hub and cannot read its grants"
        f" (format {written}, it reads up to {status.grant_format}): upgrade hansa-member there"
    )
