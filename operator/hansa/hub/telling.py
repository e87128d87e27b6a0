"""Which event each ``Tell`` becomes."""

from __future__ import annotations

from hansa.api.meta import API_VERSION
from hansa.model.reasons import Reason
from hansa.observability import events
from hansa.observability.events import Event, Subject
from hansa.planning.hub_actions import Tell


def event_of(said: Tell) -> Event:  # noqa: PLR0911  # one return a kind of event
    """Return the event a person reads with ``kubectl describe``."""
    job = Subject(API_VERSION, "AIJob", said.name, said.namespace, said.uid)
    match said.kind:
        case "granted":
            return events.job_granted(job, said.node, said.epoch)
        case "waiting":
            return events.job_waiting(job, Reason(said.reason), said.message)
        case "misconfigured":
            return events.job_misconfigured(job, Reason(said.reason), said.message)
        case "refused":
            return events.job_refused(job, said.node, said.reason, said.message)
        case "succeeded":
            return events.job_succeeded(job, said.node, said.epoch)
        case "failed":
            return events.job_failed(job, said.node, said.reason, said.message)
        case "stopping":
            return events.job_stopping(job, said.node, said.reason, said.message)
