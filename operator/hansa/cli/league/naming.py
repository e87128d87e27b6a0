"""The name of a node, as a command is given it: what is none is a usage error, and no part of an address."""

from __future__ import annotations

import re
from typing import Any

import click

from hansa.api.meta import DNS_LABEL

_LONGEST = 63


class NodeName(click.ParamType[str]):
    """A name that a SovereignNode can have."""

    name = "node"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, or fail with what is right."""
        if len(value) > _LONGEST or not re.fullmatch(DNS_LABEL.strip("^$"), value):
            words = "no name of a node: lower case letters, digits and '-', for example tallinn-1"
            self.fail(f"{value!r} is {words}", param, ctx)
        return str(value)
