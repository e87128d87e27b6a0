"""Which Kubernetes event each ``EmitEvent`` becomes."""

from __future__ import annotations

from hansa.api.meta import API_VERSION
from hansa.model.reasons import Reason
from hansa.observability import events
from hansa.observability.events import Event, Subject
from hansa.reconcile.hub.actions import EmitEvent

_OF_RUNS = {
    "refused": events.job_refused,
    "retried": events.job_retried,
    "failed": events.job_failed,
    "stopping": events.job_stopping,
}


def event_of(said: EmitEvent) -> Event:  # noqa: PLR0911  # one return a kind of event
    """Return the event a person reads with ``kubectl describe``."""
    about = Subject(API_VERSION, said.about, said.name, said.namespace, said.uid)
    if said.kind in _OF_RUNS:
        return _OF_RUNS[said.kind](about, said.node, said.reason, said.message)
    match said.kind:
        case "granted":
            return events.job_granted(about, said.node, said.epoch)
        case "waiting":
            return events.job_waiting(about, Reason(said.reason), said.message)
        case "misconfigured":
            return events.job_misconfigured(about, Reason(said.reason), said.message)
        case "silent":
            return events.job_out_of_sight(about, said.node, said.message)
        case "succeeded":
            return events.job_succeeded(about, said.node, said.epoch)
        case _:
            return events.object_unsound(about, Reason(said.reason), said.message)
