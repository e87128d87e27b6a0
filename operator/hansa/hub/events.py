"""Which Kubernetes event each ``EmitEvent`` becomes."""

from __future__ import annotations

from hansa.api.meta import API_VERSION
from hansa.model.reasons import Reason
from hansa.observability import events
from hansa.observability.events import Event, Subject
from hansa.reconcile.hub.actions import EmitEvent


def event_of(said: EmitEvent) -> Event:  # noqa: PLR0911  # one return a kind of event
    """Return the event a person reads with ``kubectl describe``."""
    about = Subject(API_VERSION, said.about, said.name, said.namespace, said.uid)
    match said.kind:
        case "granted":
            return events.job_granted(about, said.node, said.epoch)
        case "waiting":
            return events.job_waiting(about, Reason(said.reason), said.message)
        case "misconfigured":
            return events.job_misconfigured(about, Reason(said.reason), said.message)
        case "refused":
            return events.job_refused(about, said.node, said.reason, said.message)
        case "retried":
            return events.job_retried(about, said.node, said.reason, said.message)
        case "succeeded":
            return events.job_succeeded(about, said.node, said.epoch)
        case "failed":
            return events.job_failed(about, said.node, said.reason, said.message)
        case "stopping":
            return events.job_stopping(about, said.node, said.reason, said.message)
        case "unsound":
            return events.object_unsound(about, Reason(said.reason), said.message)
