"""What the providers that start their own clusters have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Self, TypeVar

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.cluster.cluster import Cluster
from e2e.testbed.cluster.spec import LEAGUE, SiteSpec
from e2e.testbed.host.progress import Progress
from e2e.testbed.machines import state
from e2e.testbed.machines.teardown import tear_down

SiteT = TypeVar("SiteT", bound=Cluster)


class ProviderUnavailableError(RuntimeError):
    """This machine cannot run the provider; the message says why."""


class Provider(ABC, Generic[SiteT]):
    """A hub and members, up inside ``with``."""

    pods: str
    """Whether pods run (``real``) or are played (``simulated``)."""

    def __init__(
        self,
        specs: Sequence[SiteSpec] = LEAGUE,
        *,
        name: str = "hansa",
        progress: Progress | None = None,
        die_with_parent: bool = True,
    ) -> None:
        self.specs = tuple(specs)
        self.name = name
        self.progress = progress or Progress()
        self.binaries = Binaries(progress=self.progress)
        self.sites: dict[str, SiteT] = {}
        self._die_with_parent = die_with_parent

    def __enter__(self) -> Self:
        """Bring everything up."""
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        """Take everything down."""
        self.down()

    @abstractmethod
    def up(self) -> None:
        """Bring the league up; on any failure take it down again."""

    def down(self) -> None:
        """Take down what an earlier or this run of the same name has brought up."""
        recorded = state.load(self.name)
        if recorded is None:
            return
        with self.progress.step(f"take {self.name} down"):
            tear_down(recorded)
        self.sites.clear()
