"""A piece of a driver's log on its way to the job's owner: as much as one write may carry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hansa.api.meta import Model

WINDOW_BYTES = 16_384
"""Most bytes of UTF-8 that one piece has."""


class LogWindow(Model):
    """A piece of the log, by its place in it."""

    start: int = Field(ge=0, description="Bytes of the log before it.")
    text: str = Field(default="", max_length=WINDOW_BYTES, description="The piece; empty: no more.")
    state: Literal["Open", "Ended"] = Field(
        default="Open", description="Ended: the log ends with it, for good."
    )


class JobLogWindow(LogWindow):
    """A piece of the log of one of the job's runs."""

    epoch: int = Field(ge=1, description="The run.")
