"""What one check saw. Pure data: who prints it decides what it means for the exit code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw."""

    check: str
    good: bool | None
    """None: this user may not look, so nothing is known."""
    detail: str

    @property
    def cells(self) -> tuple[str, str, str]:
        """The finding as a table shows it."""
        words = {True: "ok", False: "BAD", None: "unknown"}
        return (self.check, words[self.good], self.detail)
