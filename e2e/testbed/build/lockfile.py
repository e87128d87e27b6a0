"""Reads the project's hash lock: which pins the product needs at run time, without its tools.

The lock holds run-time, development and documentation packages together; each pin says in a
``# via`` note who asked for it, and following these notes from the product gives its closure.
"""

from __future__ import annotations

from dataclasses import dataclass

PRODUCT = "hansa (pyproject.toml)"


@dataclass(frozen=True, slots=True)
class Pin:
    """One pinned package."""

    name: str
    text: str
    """The requirement with its hashes, as pip reads it."""
    via: frozenset[str]
    """Who asked for it: package names, or ``hansa (pyproject.toml)``."""


def read_pins(lock: str) -> list[Pin]:
    """Split a lock text into its pins."""
    blocks: list[list[str]] = []
    for line in lock.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    return [_pin(block) for block in blocks]


def runtime_requirements(lock: str) -> str:
    """Return the part of the lock that the product needs at run time."""
    pins = read_pins(lock)
    wanted = {PRODUCT}
    grown = True
    while grown:
        more = {pin.name for pin in pins if pin.via & wanted} - wanted
        wanted |= more
        grown = bool(more)
    return "\n".join(pin.text for pin in pins if pin.name in wanted) + "\n"


def _pin(block: list[str]) -> Pin:
    notes = [line.strip().lstrip("#").strip() for line in block if line.lstrip().startswith("#")]
    via = {note.removeprefix("via").strip() for note in notes} - {""}
    text = "\n".join(line for line in block if not line.lstrip().startswith("#"))
    name = block[0].split("==", 1)[0].split("[", 1)[0].strip()
    return Pin(name, text, frozenset(via))
