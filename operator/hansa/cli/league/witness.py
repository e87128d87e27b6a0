"""``hansa member witness``: its keys, and how its memory begins. In the agent's pod, by a person's hand.

Settings, keys and memory are the agent's own, so there is nothing to name twice:
``kubectl -n hansa-system exec -i deploy/hansa-member -- hansa member witness …``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import BinaryIO

import click

from hansa.adapters.clock import SystemClock
from hansa.cli.access import Access, with_access
from hansa.cli.display import say
from hansa.errors import Terminal
from hansa.member.hub_link import identity
from hansa.member.settings import MemberSettings
from hansa.member.witness.cosigner import note_signers
from hansa.member.witness.memory import WitnessMemory
from hansa.member.witness.witness import Witness
from hansa.ports import Cluster
from hansa.process.environment import read_settings
from hansa.translog.policy import Policy
from hansa.translog.signatures import NoteSigner

PUBLISHED = click.option(
    "--published",
    required=True,
    type=click.File("rb"),
    help="The log's newest `checkpoint`, as its files show it to anybody; -: standard input.",
)


@click.group
def witness() -> None:
    """Take part as a witness of the league's transparency log.

    Run it in the agent's pod: kubectl -n hansa-system exec -i deploy/hansa-member -- hansa member witness …
    """


@witness.command
@with_access
def key(access: Access) -> None:
    """Print this witness's keys, a line each for the league's policy file."""

    async def ask(cluster: Cluster) -> tuple[NoteSigner, ...]:
        return await _signers(cluster, _settings())

    for number, signer in enumerate(access.ask(ask)):
        name = signer.key.name if not number else f"{signer.key.name}/ml-dsa-44"
        click.echo(f"witness {name} {signer.key}")


@witness.command
@PUBLISHED
@with_access
def enrol(published: BinaryIO, access: Access) -> None:
    """Begin to watch the log, once: refused where this witness has cosigned it before."""
    seen, origin = published.read(), _settings().witness.log
    _begin(access, lambda one: one.enrol(origin, [seen]))
    say(f"{_settings().witness.name} watches {origin} from its beginning")


@witness.command
@PUBLISHED
@click.option(
    "--policy",
    required=True,
    type=click.File("rb"),
    help="C2SP tlog-policy file: the log, and the witnesses that must have cosigned without this one.",
)
@click.option(
    "--within",
    default=600,
    show_default=True,
    type=click.IntRange(1, 86_400),
    help="Age of their cosignatures in seconds, at most.",
)
@with_access
def restore(published: BinaryIO, policy: BinaryIO, within: int, access: Access) -> None:
    """Take up a lost memory from a checkpoint that the other witnesses cosigned lately."""
    seen, rules = published.read(), Policy.parse(policy.read())
    _begin(access, lambda one: one.restore(seen, rules, within))
    say(f"{_settings().witness.name} watches {_settings().witness.log} again")


def _begin(access: Access, do: Callable[[Witness], Awaitable[None]]) -> None:
    async def ask(cluster: Cluster) -> None:
        settings = _settings()
        memory = WitnessMemory(cluster, settings.namespace)
        await do(Witness(memory, await _signers(cluster, settings), (), SystemClock()))

    access.ask(ask)


def _settings() -> MemberSettings:
    settings = read_settings(MemberSettings)
    if not settings.witness.name:
        text = "this member is no witness: give settings.witness.name in the member chart"
        raise Terminal(text, reason="NoWitness")
    return settings


async def _signers(cluster: Cluster, settings: MemberSettings) -> tuple[NoteSigner, ...]:
    held = await identity.load(cluster, settings.namespace, settings.identity.secret)
    return note_signers(settings.witness, held.signer)
