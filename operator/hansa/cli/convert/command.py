"""``hansa convert``: an AIJob of a RayJob that exists, and a list of what it does not carry over."""

from __future__ import annotations

import shlex
from typing import IO

import click
import yaml

from hansa.cli.convert.rayjob import Choice, convert
from hansa.cli.display import plain
from hansa.cli.documents import read_documents
from hansa.errors import Terminal


@click.command("convert")
@click.argument("manifest", type=click.File("r", encoding="utf-8"))
@click.option("--pool", required=True, help="ComputePool to run in.")
@click.option(
    "--location",
    "location",
    multiple=True,
    required=True,
    help="Where the machines may stand: EE, EU, World; may be given several times.",
)
@click.option(
    "--legal-control",
    "legal_control",
    multiple=True,
    required=True,
    help="Whose law may reach the operator; may be given several times.",
)
@click.option("--image", default="", help="Image by digest, instead of the manifest's.")
@click.option("--ray-version", default="", help="Ray version in that image.")
@click.option("--gpu-class", default="", help="GPU class of the workers.")
@click.option("--entrypoint", default="", help="Command, instead of the manifest's.")
def convert_command(manifest: IO[str], entrypoint: str, **given: str | tuple[str, ...]) -> None:
    """Print the AIJob that does what the RayJob, RayCronJob or RayCluster in MANIFEST does.

    ConfigMaps in the same file become files of the job. What an AIJob does not carry is listed on
    standard error, each field with what to do about it. Nothing is sent anywhere.
    """
    try:
        words = tuple(shlex.split(entrypoint))
    except ValueError as error:
        raise click.UsageError(f"--entrypoint {entrypoint}: {error}") from None
    choice = Choice(entrypoint=words, **given)  # type: ignore[arg-type]  # click's types
    try:
        documents = read_documents(manifest)
    except (yaml.YAMLError, ValueError) as error:
        raise Terminal(f"{manifest.name} is no YAML: {error}") from None
    made = convert(documents, choice)
    click.echo(yaml.safe_dump_all((one.job for one in made), sort_keys=False), nl=False)
    for one in made:
        for note in one.notes:
            click.echo(plain(f"{note.field}: {note.advice}"), err=True)
