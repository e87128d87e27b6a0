"""Which piece of a run's log the hub asks for in the name of the job's owner: an annotation of the grant."""

from __future__ import annotations

from typing import Any

from hansa.api.meta import LOG_REQUEST_ANNOTATION
from hansa.member.context import AgentContext
from hansa.model.log_request import LogRequest, read_log_request
from hansa.ports import Manifest


def request_of(context: AgentContext, grant: Manifest, epoch: int) -> LogRequest | None:
    """Return the request that stands for one run; None: there is none."""
    noted = grant["metadata"].get("annotations")
    asked: Any = noted.get(LOG_REQUEST_ANNOTATION) if isinstance(noted, dict) else None
    skew_s = context.settings.limits.clock_skew_seconds
    request = read_log_request(asked, context.clock.now(), skew_s)
    return request if request is not None and request.epoch == epoch else None
