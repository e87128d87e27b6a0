"""``hansa keygen`` and ``hansa hub-key``: keys for hubs, data owners and witnesses."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

import click

from hansa.adapters.keys import Ed25519Signer, parse_private_key
from hansa.adapters.mldsa import MlDsaSigner
from hansa.cli.access import Access, with_access
from hansa.errors import Terminal

IN_CLUSTER = "secret/"


@click.command
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--ml-dsa-44",
    "is_ml_dsa",
    is_flag=True,
    help="A key that a quantum computer does not break (FIPS 204): a witness's second one.",
)
def keygen(out: Path, is_ml_dsa: bool) -> None:  # noqa: FBT001  # click passes options by name
    """Make an Ed25519 key pair for a hub or a data owner.

    The private key is written to OUT (mode 0600; an existing file is never replaced). The public
    key is printed: members name it in MemberPolicy trustedHubs or trustedOwners.
    """
    signer = MlDsaSigner.generate() if is_ml_dsa else Ed25519Signer.generate()
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Terminal(f"cannot write {out}: {error.strerror}; name a new file") from error
    with os.fdopen(handle, "wb") as file:
        file.write(signer.private_pem())
    _show(signer)


@click.command("hub-key")
@click.argument("source")
@with_access
def hub_key(source: str, access: Access) -> None:
    """Print the public half of a signing key.

    SOURCE is a key file, or secret/NAMESPACE/NAME on the cluster.
    """
    if not source.startswith(IN_CLUSTER):
        _show(Ed25519Signer.from_file(Path(source)))
        return
    namespace, _, name = source.removeprefix(IN_CLUSTER).partition("/")
    if not namespace or not name or "/" in name:
        raise click.UsageError(f"{source}: write it as secret/NAMESPACE/NAME")
    path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
    secret = access.ask(lambda cluster: cluster.get(path))
    _show(_key_in(secret.get("data") or {}, source))


def _key_in(data: dict[str, str], source: str) -> Ed25519Signer:
    for value in data.values():
        try:
            return Ed25519Signer(parse_private_key(base64.b64decode(value, validate=True)))
        except (Terminal, binascii.Error):
            continue
    raise Terminal(f"{source} holds no Ed25519 private key; `hansa keygen` makes one")


def _show(signer: Ed25519Signer | MlDsaSigner) -> None:
    click.echo(signer.public_key)
    click.echo(f"key id {signer.key_id}", err=True)
