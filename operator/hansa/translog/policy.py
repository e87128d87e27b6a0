"""C2SP tlog-policy: which logs are believed, and which witnesses have to have cosigned.

One parser, whatever k of n decides about. https://c2sp.org/tlog-policy
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hansa.errors import Terminal
from hansa.translog.faults import Fault, refused
from hansa.translog.note import KeyType, VerifierKey
from hansa.translog.quorum import NONE, Group, Quorum

MOST_BYTES = 512 * 1024
MOST_LINES = 1024
"""Of logs, witnesses and groups together."""
_NOT_ALLOWED = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK = re.compile(r"[ \t]+")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,5}")
_COSIGNS = (KeyType.COSIGNATURE_ED25519, KeyType.COSIGNATURE_ML_DSA_44)
_WORDS = {"log": (2, 3), "witness": (3, 4), "group": (4, MOST_LINES), "quorum": (2, 2)}
"""Keyword → how few and how many words its line has."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a checkpoint must carry to be believed."""

    logs: tuple[VerifierKey, ...]
    witnesses: Mapping[str, VerifierKey]
    """Name inside the policy → key."""
    quorum: Quorum
    urls: Mapping[str, str] = field(default_factory=dict)
    """Name of a witness, or origin of a log → where it is found."""

    @classmethod
    def of_logs(cls, keys: Iterable[VerifierKey]) -> Policy:
        """Return what believes each log by its own signature, whoever else has cosigned."""
        return cls.parse("".join([*(f"log {key}\n" for key in keys), "quorum none\n"]).encode())

    @classmethod
    def parse(cls, body: bytes) -> Policy:
        """Read a policy file; raises ``Terminal`` that names the line."""
        reading = _Reading()
        for number, words in _lines(body):
            try:
                reading.take(words)
            except Terminal as error:
                raise refused(Fault.MALFORMED, f"line {number} of the policy: {error}") from error
        if reading.rule is None:
            raise refused(Fault.MALFORMED, "the policy has no quorum line")
        quorum = Quorum(reading.rule, MappingProxyType(reading.groups))
        return cls(tuple(reading.logs), MappingProxyType(reading.witnesses), quorum, reading.urls)


def _lines(body: bytes) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the words of each line that says something.

    Names are opaque octets: what is no UTF-8 is kept apart, never made equal.
    """
    if len(body) > MOST_BYTES or _NOT_ALLOWED.search(body):
        text = f"a policy has {MOST_BYTES} bytes at most and no control characters"
        raise refused(Fault.MALFORMED, text)
    if not body.endswith(b"\n"):
        raise refused(Fault.MALFORMED, "the last line of the policy is not ended")
    said = 0
    for number, line in enumerate(body.decode(errors="surrogateescape").split("\n"), start=1):
        words = [word for word in _BLANK.split(line) if word]
        if words and not words[0].startswith("#"):
            said += 1
            if said > MOST_LINES:
                raise refused(Fault.MALFORMED, f"a policy says {MOST_LINES} things at most")
            yield number, words


@dataclass(slots=True)
class _Reading:
    """A policy as far as it was read."""

    logs: list[VerifierKey] = field(default_factory=list)
    witnesses: dict[str, VerifierKey] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)
    urls: dict[str, str] = field(default_factory=dict)
    rule: str | None = None

    def take(self, words: list[str]) -> None:
        """Read one line; raises ``Terminal``."""
        keyword, *rest = words
        least, most = _WORDS.get(keyword, (0, 0))
        _demand(bool(most), f"{keyword[:30]!r} is none of {', '.join(_WORDS)}")
        _demand(least <= len(words) <= most, f"a {keyword} line has {least} to {most} words")
        takes: dict[str, Callable[[list[str]], None]] = {
            "log": self._take_log,
            "witness": self._take_witness,
            "group": self._take_group,
            "quorum": self._take_quorum,
        }
        takes[keyword](rest)

    def _take_log(self, words: list[str]) -> None:
        key = VerifierKey.parse(words[0])
        _demand(key.type is not KeyType.COSIGNATURE_ED25519, f"{key.name} is a witness's key")
        _demand(key.public not in {log.public for log in self.logs}, f"{key.name} is listed twice")
        self.logs.append(key)
        self._take_url(key.name, words[1:])

    def _take_witness(self, words: list[str]) -> None:
        name, key = words[0], VerifierKey.parse(words[1])
        self._demand_new(name)
        _demand(key.type in _COSIGNS, f"{name} has a key of a log, not of a witness")
        others = {witness.public for witness in self.witnesses.values()}
        _demand(key.public not in others, f"{name} has the key of another witness")
        self.witnesses[name] = key
        self._take_url(name, words[2:])

    def _take_group(self, words: list[str]) -> None:
        name, threshold, *members = words
        self._demand_new(name)
        for member in members:
            self._demand_known(member)
            _demand(member not in self.grouped, f"{member} is in a group already")
            self.grouped.add(member)
        least = {"any": 1, "all": len(members)}.get(threshold)
        if least is None:
            _demand(bool(_THRESHOLD.fullmatch(threshold)), f"{threshold[:30]!r} is no threshold")
            least = int(threshold)
        _demand(least <= len(members), f"{name} asks for {least} of {len(members)}")
        self.groups[name] = Group(least, tuple(members))

    def _take_quorum(self, words: list[str]) -> None:
        _demand(self.rule is None, "a policy has one quorum line")
        if words[0] != NONE:
            self._demand_known(words[0])
        self.rule = words[0]

    def _take_url(self, name: str, words: list[str]) -> None:
        if words:
            self.urls[name] = words[0]

    def _demand_new(self, name: str) -> None:
        is_new = name != NONE and name not in self.witnesses and name not in self.groups
        _demand(is_new, f"the name {name} is taken")

    def _demand_known(self, name: str) -> None:
        known = name in self.witnesses or name in self.groups
        _demand(known, f"{name} is no witness or group of a line before")


def _demand(holds: bool, complaint: str) -> None:  # noqa: FBT001  # reads as a sentence
    if not holds:
        raise refused(Fault.MALFORMED, complaint)
