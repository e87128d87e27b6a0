"""What has to be true once both jobs were audited, judged by no rule of the product, and said in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Manifest = Mapping[str, Any]
CONFIRMING = 2
"""Auditors that have to agree against a member before it has cheated."""


class Change(NamedTuple):
    """Something before the audits and after them."""

    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Seen:
    """What the hub and the books show."""

    honest: Manifest
    """The AIJob of the member that works, after its audit."""
    faked: Manifest
    """The AIJob of the member that cheats, after its audit."""
    audits: Sequence[Manifest]
    """AIJobs that ran one of the two again."""
    level: Change
    """Of the member that cheats."""
    held: Change
    """What is held back from its pay, in euros."""
    kitty: Change
    """What was taken from it, in euros."""

    def audits_of(self, job: Manifest) -> list[Manifest]:
        """Return the runs again of a job, by name."""
        name = job["metadata"]["name"]
        found = [one for one in self.audits if one["spec"]["audit"]["of"] == name]
        return sorted(found, key=lambda one: str(one["metadata"]["name"]))


@dataclass(frozen=True, slots=True)
class Audited:
    """One audited job, for the report."""

    job: str
    node: str
    auditors: tuple[str, ...]
    verdict: str
    message: str
    seized: str = "0"
    """Taken from the node, in euros."""


def faults(seen: Seen) -> Iterator[str]:
    """Yield what is not as the story says; nothing: all of it is."""
    for job, wanted, least in ((seen.honest, "Passed", 1), (seen.faked, "Failed", CONFIRMING)):
        name, node, said = job["metadata"]["name"], job["status"]["node"], assurance(job)
        if said.get("audit") != wanted:
            yield f"{name}: its audit is to be {wanted}; what is said: {dict(said)}"
        auditors = [one["status"]["node"] for one in seen.audits_of(job)]
        if len(set(auditors) - {node}) < least or node in auditors:
            yield f"{name} ran at {node}, and again at {auditors or 'no node'}"
        is_equal = [result(one) == result(job) for one in seen.audits_of(job)]
        if wanted == "Passed" and not all(is_equal):
            yield f"{name}: it was passed, and the results are not equal"
        if wanted == "Failed" and any(is_equal):
            yield f"{name}: it was failed, and an auditor has the same result"
    if len({json.dumps(result(one), sort_keys=True) for one in seen.audits_of(seen.faked)}) > 1:
        yield "the auditors that found the cheat do not agree with each other"
    if seen.level != Change("L1", "L0"):
        yield f"the cheat's level was {seen.level.before} and is {seen.level.after}"
    taken = seen.kitty.after - seen.kitty.before
    if not seen.held.before or seen.held.after or taken != seen.held.before:
        yield (
            f"held back from the cheat were {float(seen.held.before):.6f} EUR and are"
            f" {float(seen.held.after):.6f}; the kitty has {float(taken):.6f} more"
        )


def audited(seen: Seen) -> tuple[Audited, Audited]:
    """Return both for the report."""
    taken = f"{float(seen.kitty.after - seen.kitty.before):.6f}"
    return _audited(seen, seen.honest), _audited(seen, seen.faked, taken)


def in_words(seen: Seen) -> str:
    """Return what was found as sentences."""
    honest, faked = audited(seen)
    return (
        f"{honest.job} ran at {honest.node} and was drawn for an audit: {' and '.join(honest.auditors)}, of another"
        f" institution, ran it again. Both got {json.dumps(result(seen.honest))}, and not a digit differs.\n"
        f"{faked.job} ran at {faked.node}, which answered {json.dumps(result(seen.faked))}."
        f" {' and '.join(faked.auditors)} ran it again, one after the other, and both got"
        f" {json.dumps(result(seen.audits_of(seen.faked)[0]))}. One that differs proves nothing; two that agree do."
        f" {faked.node} has cheated: {faked.seized} EUR, all that was held back from its pay, went to the league's"
        f" kitty, to neither the payer nor those who found it out. {faked.node} was at {seen.level.before} and is at"
        f" {seen.level.after}: no work that asks for more goes there until honest work of it was audited."
    )


def assurance(job: Manifest) -> Mapping[str, Any]:
    """Return what the ledger says of a job's run."""
    said: Mapping[str, Any] = job.get("status", {}).get("assurance") or {}
    return said


def result(job: Manifest) -> Any:
    """Return a job's result; None: it told none."""
    text = job.get("status", {}).get("result")
    return json.loads(text) if text else None


def _audited(seen: Seen, job: Manifest, seized: str = "0") -> Audited:
    meta, said = job["metadata"], assurance(job)
    auditors = tuple(one["status"]["node"] for one in seen.audits_of(job))
    name = f"{meta['namespace']}/{meta['name']}"
    return Audited(
        name, job["status"]["node"], auditors, said["audit"], said.get("message", ""), seized
    )
