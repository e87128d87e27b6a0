"""The whole error tree. Adapters raise these; only executors catch them.

- ``HansaError``
  - ``Retryable``: try again after ``after_s`` (429, 5xx, lost connection)
    - ``NotYet``: another has its turn before: nobody's fault
    - ``TooLarge``: the answer is larger than is read: ask for less
  - ``Conflict``: somebody else wrote first, or it exists already: re-read and re-derive
  - ``NotFound``: it is not there
  - ``Gone``: a watch is too old: list again
  - ``Terminal``: trying again cannot help; ``reason`` says why
"""

from __future__ import annotations


class HansaError(Exception):
    """Base of all errors Hansa raises on purpose."""


class Retryable(HansaError):
    """Trying again later may help."""

    def __init__(self, message: str, *, after_s: float = 1.0) -> None:
        """``after_s``: earliest sensible retry, in seconds."""
        super().__init__(message)
        self.after_s = after_s


class NotYet(Retryable):
    """Another has its turn before: nobody's fault for as long as that may take."""


class TooLarge(Retryable):
    """The answer is larger than is read: asking for less of it may help."""


class Conflict(HansaError):
    """The object changed or exists already (409)."""


class NotFound(HansaError):
    """The object is not there (404)."""


class Gone(HansaError):
    """The resourceVersion is too old (410)."""


class Terminal(HansaError):
    """Trying again cannot help."""

    def __init__(self, message: str, *, reason: str = "Terminal", status: int = 0) -> None:
        """``reason``: one word; ``status``: the HTTP status, if there was one."""
        super().__init__(message)
        self.reason = reason
        self.status = status
