"""What the simulator asks of a placement policy: told of every event, asked for decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hansa.model.snapshot import Job


@dataclass(frozen=True, slots=True)
class Start:
    """Start a job at a site now."""

    uid: str
    site: str
    gpu_class: str = ""
    """Class of its machines; empty: any that suits."""
    machines: tuple[tuple[int, int], ...] = ()
    """(machine of that class, workers) where the policy books them; empty: packed by the site."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Stops take effect before starts."""

    starts: tuple[Start, ...] = ()
    stops: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """When a waiting job will start: in eight cases of ten between ``p10_s`` and ``p90_s``."""

    p10_s: int
    p50_s: int
    p90_s: int


class Policy(Protocol):
    """Decides; keeps its own books of what waits and runs."""

    def arrive(self, job: Job, now_s: int) -> None:
        """A job waits, for the first time or again after a stop."""

    def finish(self, job: Job, now_s: int, *, ran_s: int) -> None:
        """A running job ended by itself after ``ran_s`` in all."""

    def lose(self, job: Job, now_s: int) -> None:
        """A running job stopped because its site went down; ``arrive`` follows."""

    def site(self, name: str, now_s: int, *, up: bool) -> None:
        """A site went down or came back."""

    def tick(self, now_s: int) -> None:
        """Time has passed: run times have become long enough, and the like."""

    def decide(self, now_s: int) -> Decision:
        """What to start and stop now."""

    def estimate(self, job: Job, now_s: int) -> Estimate | None:
        """When a job will start, asked at the first tick that sees it wait; None: it does not say."""
