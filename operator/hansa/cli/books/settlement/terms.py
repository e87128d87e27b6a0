"""What institutions have agreed about settling: their keys, credit limits and accounts, in one file.

Each treasurer keeps a copy. A clearing that was made by other keys or limits is not signed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import click
import yaml
from pydantic import Field, StringConstraints, ValidationError

from hansa.accounting import amounts
from hansa.accounting.exports.bank_file import Party
from hansa.accounting.postings import KITTY
from hansa.accounting.settlement.clearing import Clearing
from hansa.api.memberpolicy import PublicKey
from hansa.api.meta import Model, Name
from hansa.api.texts import Written, first_fault
from hansa.cli.documents import read_one
from hansa.errors import Terminal
from hansa.grants.envelope import key_id

Line = Annotated[str, StringConstraints(max_length=140)]


class Account(Model):
    """Where money goes, as banks ask for it."""

    name: Line = Field(description="Whose account.")
    iban: Annotated[str, StringConstraints(max_length=34)] = Field(description="Account.")
    town: Line = Field(description="Town of the owner.")
    country: Annotated[str, Written("^[A-Z]{2}$", "must be two letters, for example EE")] = Field(
        description="Country of the owner, ISO 3166-1 alpha-2."
    )
    street: Line = Field(default="", description="Street.")
    building: Line = Field(default="", description="House number.")
    postcode: Line = Field(default="", description="Postcode.")
    bic: Line = Field(default="", description="Bank.")


class OperatedNode(Model):
    """A node, whose receipts its operator is paid by."""

    name: Name = Field(description="Its name in the league.")
    key: PublicKey = Field(description="Public half of its release key, base64.")


class OthersNode(OperatedNode):
    """A node of an institution that does not settle with the others."""

    institution: Name = Field(description="Who operates it.")


class Signatory(Model):
    """One institution that settles with the others."""

    institution: Name = Field(description="Its name in the league.")
    key: PublicKey = Field(description="Public key that it signs clearings with, base64.")
    credit_limit: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}(\.[0-9]{1,6})?$")] = (
        Field(default="0", description="How much it may owe on into the next period.")
    )
    account: Account | None = Field(default=None, description="For what is paid; not given: none.")
    nodes: tuple[OperatedNode, ...] = Field(
        default=(), max_length=1024, description="Nodes that it operates, also those of before."
    )


class SettlementTerms(Model):
    """The file."""

    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] = Field(
        default="EUR", description="ISO 4217."
    )
    members: tuple[Signatory, ...] = Field(
        min_length=2, max_length=1024, description="Who settles with whom."
    )
    kitty: Account | None = Field(default=None, description="The league's, for what was seized.")
    other_nodes: tuple[OthersNode, ...] = Field(
        default=(),
        max_length=1024,
        description="Nodes of others, of which something was seized: that is owed to the kitty.",
    )
    hub: PublicKey | None = Field(
        default=None, description="Public key of the hub, which countersigns receipts, base64."
    )
    log_policy: Annotated[str, StringConstraints(max_length=65_536)] = Field(
        default="", description="C2SP tlog-policy: the log that receipts are in, and its witnesses."
    )

    @property
    def keys(self) -> dict[str, str]:
        """Institution → public key, base64."""
        return {one.institution: one.key for one in self.members}

    @property
    def signers(self) -> dict[str, str]:
        """Institution → id of its key."""
        return {name: key_id(base64.b64decode(key)) for name, key in self.keys.items()}

    @property
    def limits(self) -> dict[str, int]:
        """Institution → micros that it may carry."""
        said = {one.institution: amounts.read(one.credit_limit) for one in self.members}
        return {name: micros for name, micros in said.items() if micros}

    @property
    def parties(self) -> dict[str, Party]:
        """Institution, or the kitty → its account."""
        known = {one.institution: one.account for one in self.members} | {KITTY: self.kitty}
        return {name: Party(**dict(row)) for name, row in known.items() if row is not None}

    @property
    def operators(self) -> dict[str, str]:
        """Node's key id → institution."""
        own = [(node.key, one.institution) for one in self.members for node in one.nodes]
        others = [(node.key, node.institution) for node in self.other_nodes]
        return {key_id(base64.b64decode(key)): name for key, name in (*own, *others)}

    @property
    def receipt_keys(self) -> dict[str, str]:
        """Key id → public key, base64, of the nodes and the hub; raises ``Terminal`` where there is no hub's."""
        if self.hub is None or not self.log_policy:
            text = (
                "the terms name no hub and no logPolicy: write the hub's public key and the log's policy into them,"
                " or nobody can tell a receipt from a forgery"
            )
            raise Terminal(text, reason="NoTerms")
        nodes = [node.key for one in self.members for node in one.nodes]
        nodes += [node.key for node in self.other_nodes]
        return {key_id(base64.b64decode(key)): key for key in (self.hub, *nodes)}

    def departures(self, clearing: Clearing) -> Iterator[str]:
        """Yield in what a clearing was made by other terms, a sentence each."""
        if clearing.period.currency != self.currency:
            yield f"it is in {clearing.period.currency}, the terms are in {self.currency}"
        if dict(clearing.signers) != self.signers:
            yield "it was made for other signers, or other keys of theirs, than the terms name"
        if dict(clearing.limits) != self.limits:
            yield "it was made by other credit limits than the terms name"


def read_terms(text: str) -> SettlementTerms:
    """Return the terms in a YAML file; raises ``Terminal`` naming the field that is wrong."""
    try:
        said = read_one(text)
        found = SettlementTerms.model_validate(said, by_alias=True, by_name=False)
    except ValidationError as error:
        raise Terminal(f"the terms are not valid: {first_fault(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Terminal(f"the terms are no YAML: {error}") from None
    for what, named in (("institution", found.keys), ("key", set(found.keys.values()))):
        if len(named) != len(found.members):
            raise Terminal(f"the terms are not valid: members: one {what} stands there twice")
    nodes = sum(len(one.nodes) for one in found.members) + len(found.other_nodes)
    if len(found.operators) != nodes:
        raise Terminal("the terms are not valid: nodes: one key stands there twice")
    return found


def with_terms(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --terms, and pass them on as ``terms``."""

    @click.option(
        "--terms",
        "agreed",
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="What was agreed: keys, credit limits and accounts, as you keep them.",
    )
    @wraps(command)
    def inner(*args: Any, agreed: Path, **kwargs: Any) -> Any:
        return command(*args, terms=read_terms(agreed.read_text(encoding="utf-8")), **kwargs)

    return inner
