"""A piece of a driver's log on its way to the job's owner: as much as one write may carry."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hansa.api.meta import Model, Timestamp

WINDOW_BYTES = 16_384
"""Most bytes of UTF-8 that one piece has."""
LONGEST_KEPT_S = 30 * 86_400
"""No log is kept for longer after its run, and no grant stays for one."""


class LogWindow(Model):
    """A piece of the log, by its place in it."""

    start: int = Field(ge=0, description="Bytes of the log before it.")
    text: str = Field(default="", max_length=WINDOW_BYTES, description="The piece; empty: no more.")
    state: Literal["Open", "Ended"] = Field(
        default="Open", description="Ended: the log ends with it, for good."
    )

    def wire(self) -> dict[str, Any]:
        """Return it as a status has it."""
        return self.model_dump(by_alias=True, exclude_defaults=True) | {"start": self.start}


class KeptLog(Model):
    """What a member keeps of the log of a run that is over."""

    start: int = Field(ge=0, description="First byte of the log that is kept.")
    end: int = Field(ge=0, description="Bytes of the whole log.")
    until: Timestamp = Field(description="Until when it is kept, at most.")


class JobLogWindow(LogWindow):
    """A piece of the log of one of the job's runs."""

    epoch: int = Field(ge=1, description="The run.")
