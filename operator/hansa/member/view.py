"""What a scrape of the member sees, read from the desk at that moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hansa.member.desk import Desk
from hansa.member.publisher import Publisher
from hansa.observability.views import MemberReading


class View:
    """The member's numbers."""

    def __init__(
        self, desk: Desk, publisher: Publisher, certificate_end_s: Callable[[], float | None]
    ) -> None:
        """``publisher`` holds the present health."""
        self._desk = desk
        self._publisher = publisher
        self._certificate_end_s = certificate_end_s

    def reading(self) -> MemberReading:
        """Return the present values."""
        desk = self._desk
        inventory = desk.site.inventory(desk.book.held)
        law, end_s, skew = desk.site.law.spec, self._certificate_end_s(), desk.hub_skew()
        reflectors = {
            "workgrants": desk.grants,
            "rayjobs": desk.rayjobs,
            "namespaces": desk.namespaces,
        }
        return MemberReading(
            jobs=self._states(),
            gpus={name: gpus.lent for name, gpus in inventory.stock.items()},
            gpus_held=desk.book.held,
            watch_event_age_s={name: r.last_event_age_s for name, r in reflectors.items()},
            conditions={
                said.type: said.status == "True" for said in self._publisher.health.conditions()
            },
            switch=law.switch if law is not None else "Paused",
            hub_contact_age_s=None if desk.contact.last_s is None else desk.contact.age_s,
            certificate_remaining_s=None if end_s is None else end_s - desk.clock.now(),
            clock_skew_s=None if skew is None else -skew,
            queue_keys=len(desk.runs),
            events={str(name): count for name, count in desk.recorder.outcomes.items()},
        )

    def _states(self) -> dict[str, int]:
        states: Counter[str] = Counter()
        for grant in self._desk.grants.values():
            held = (grant.get("status") or {}).get("conditions") or ()
            true = [c["type"] for c in held if c.get("status") == "True"]
            order = ("Released", "Failed", "Succeeded", "Running", "Accepted")
            states[next((kind for kind in order if kind in true), "Pending")] += 1
        return dict(states)
