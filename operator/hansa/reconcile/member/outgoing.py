"""What of a run's own words goes to the hub: bounded in bytes, declared, and allowed by the member's law.

Everything that a job's program can write passes here: its result, its log, and the words of the controller that
quotes it. What is withheld gets a sentence of our own, which holds nothing that the program chose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from hansa.api.aijob import AIJobSpec
from hansa.api.job.status import LOG_TAIL_BYTES, RESULT_BYTES
from hansa.errors import Terminal
from hansa.grants.exports.permits import Exportable, Permit
from hansa.reconcile.member.end_reasons import EndReason, explain
from hansa.reconcile.member.workload import Finding, Output

MESSAGE_BYTES = 700
"""A condition holds 1,024 characters; the sentence about the result has to fit, too."""
UNDECLARED = "it wrote a result that the job does not declare (AIJob spec.result)"
TOO_LARGE = "it is larger than the job declares (AIJob spec.result.maxBytes)"
NOT_TEXT = "it is no UTF-8 text"
TOO_LONG = "the last lines of the log are too long to be read"
NOT_READ = "the log that would hold it could not be read"
MOST_WORDS = 500
"""Bytes of what the member's own cluster says of a run."""
MEMBERS_OWN = frozenset({"Secret", "PersistentVolume", "PersistentVolumeClaim"})
"""Kinds of a run's objects that hold what the member lends: no word about them leaves."""
SAY_WHY = frozenset({EndReason.SUCCEEDED, EndReason.APP_FAILED, EndReason.RAY_FAILED})
"""Ends of which the controller says how: by an exit code, or in Ray's words."""
TELLS_NOTHING = frozenset({EndReason.HEAD_LOST, EndReason.SUBMITTER_LOST, EndReason.MACHINE_LOST})
"""Ends of which it sees only what they brought about: an exit code that is not the command's."""
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
ABSENT = "[the member found no log of this run: it never began, or what held the log is gone]"
UNREAD = "[the member could not read the log of this run: what holds it did not hand it out]"
LEFT_OUT = "[a line too long to be told]"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What may be told."""

    message: str
    result: str | None = None
    held: str | None = None
    """A result that waits at the member for its release."""
    tail: str | None = None
    """The log's last lines; empty: it has none. None: they stay."""

    def staying(self, why: str) -> Outgoing:
        """Return it with a sentence on why the result does not travel."""
        return replace(self, message=f"{self.message} Its result stays at the member: {why}.")


def wanted(job: AIJobSpec, may: Exportable) -> bool:
    """Tell whether the output is worth reading at all."""
    return may.shows_tail or (job.result is not None and may.result.verdict != "Deny")


def outgoing(
    found: Finding, message: str, output: Output, job: AIJobSpec, may: Exportable
) -> Outgoing:
    """Return what may be told of a run that has ended. ``message``: the controller's."""
    logs = may.shows_tail
    result, withheld = _result(output, job, may.result)
    # The controller puts the end of the log into its message: bound by the same rule.
    words = _led(found.reason, message) if logs and not found.words else ""
    told = Outgoing(
        message=words or f"{explain(found.reason)} {clusters_words(found.words)}".strip(),
        result=result if may.result.verdict == "Allow" else None,
        held=result if may.result.verdict == "OnRelease" else None,
        tail=_tail(output) if logs else None,
    )
    return told.staying(withheld) if withheld else told


def _led(reason: EndReason, message: str) -> str:
    """Return a controller's words, behind ours where they do not say why a run ended."""
    ours = explain(reason)
    if not message or message == ours or reason in TELLS_NOTHING:
        return ours
    return within(message if reason in SAY_WHY else f"{ours} {message}", MESSAGE_BYTES)


def _tail(output: Output) -> str:
    if not output.is_there:
        return ABSENT
    if not output.is_read:
        return UNREAD
    return LEFT_OUT if output.is_cut else last_lines(output.tail, LOG_TAIL_BYTES)


def _result(output: Output, job: AIJobSpec, may: Permit) -> tuple[str | None, str]:
    """Return the result if it may travel or wait, and why it is withheld."""
    if job.result is None:
        return None, UNDECLARED if output.result is not None and may.verdict != "Deny" else ""
    if may.verdict == "Deny":
        return None, f"MemberPolicy {may.rule}"
    if not output.is_read:
        return None, NOT_READ
    if output.is_cut and output.result is None:
        return None, TOO_LONG
    return (None, "") if output.result is None else _checked(output.result, job.result.max_bytes)


def _checked(result: bytes, declared_bytes: int) -> tuple[str | None, str]:
    if len(result) > min(declared_bytes, RESULT_BYTES):
        return None, TOO_LARGE
    try:
        return result.decode(), ""
    except UnicodeDecodeError:
        return None, NOT_TEXT


def clusters_words(text: str, most_bytes: int = MOST_WORDS) -> str:
    """Return what the member's cluster says of the run's objects, as one short line.

    Kubelets repeat an image's digest until no room is left for what went wrong: its beginning will do.
    """
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    printable = _DIGEST.sub(r"\1…", printable)
    return within(" ".join(printable.split()), most_bytes)


def refusal(kind: str, error: Terminal) -> str:
    """Return the API server's words on an object of a run; of what is the member's own, its answer only.

    What is made of the job's own fields is no secret of the member; a lent secret or a volume is.
    """
    answer = f"{error.status} {error.reason}" if error.status else error.reason
    return f"{kind}: {answer if kind in MEMBERS_OWN else error}"


def within(text: str, most_bytes: int) -> str:
    """Return the beginning of a text, within ``most_bytes`` of UTF-8 and whole characters."""
    return text.encode(errors="replace")[:most_bytes].decode(errors="ignore")


def last_lines(text: str, most_bytes: int) -> str:
    """Return the last whole lines that fit into ``most_bytes`` of UTF-8; what is too long is named."""
    kept: list[str] = []
    left = most_bytes
    for line in reversed(text.encode(errors="replace").decode().split("\n")):
        size = len(line.encode()) + 1
        if size > left + 1:
            if not kept:
                kept.append(LEFT_OUT)
            break
        kept.append(line)
        left -= size
    return "\n".join(reversed(kept))
