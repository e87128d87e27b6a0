"""``hansa sign``: a data owner signs the work that a job asks for, before or after it is applied."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import click
import yaml
from pydantic import ValidationError

from hansa.adapters.clock import SystemClock
from hansa.adapters.keys import Ed25519Signer
from hansa.api.aijob import AIJobSpec, Authorization
from hansa.api.kinds import AIJOB
from hansa.cli.documents import read_one
from hansa.errors import Terminal
from hansa.grants import authorization
from hansa.grants.envelope import sign as sign_message
from hansa.model.times import rfc3339
from hansa.ports import Manifest

SIGNED = """Signed for {institution} until {until}, for {runs} runs at one member:
  image      {image}
  entrypoint {entrypoint}
  data       {data}
  residency  {residency}
  purpose    {purpose}"""


@click.command
@click.argument("manifest", type=click.File("r", encoding="utf-8"))
@click.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The owner's private key, as `hansa keygen` made it.",
)
@click.option(
    "--institution", required=True, help="Institution that the work is done for: no other may."
)
@click.option("--days", default=30, show_default=True, help="Days in which runs may start.")
@click.option("--runs", default=1, show_default=True, help="Runs that may start at one member.")
@click.option("--purpose", default="", help="What the data is used for, in words.")
@click.option("--permit", default="", help="Number of the permit or decision it rests on.")
def sign(
    manifest: IO[str], key: Path, institution: str, days: int, runs: int, **words: str
) -> None:
    """Sign the work in MANIFEST (a file, or - for standard input) and print it with the signature.

    Members whose policy names this owner for a data set run no other work on it, whatever a hub
    says. The signature covers everything that is done with the data; pool, priority, budget and
    suspend may change later. For a job that is applied already:

    kubectl get aijob NAME -o yaml | kubectl hansa sign - --key owner.pem --institution NAME |
    kubectl apply -f -
    """
    job, spec = _read(manifest)
    until = SystemClock().now() + timedelta(days=days).total_seconds()
    terms = {"notAfter": rfc3339(until), "maxRuns": runs, **words}
    signed = authorize(spec, Ed25519Signer.from_file(key), institution, terms)
    others = [a for a in job["spec"].get("authorizations", ()) if a["keyId"] != signed["keyId"]]
    job["spec"]["authorizations"] = [*others, signed]
    click.echo(yaml.safe_dump(job, sort_keys=False), nl=False)
    click.echo(_summary(spec, institution, signed), err=True)


def authorize(
    spec: AIJobSpec, signer: Ed25519Signer, institution: str, terms: dict[str, Any]
) -> Manifest:
    """Return the entry of ``spec.authorizations``; raises ``Terminal`` naming a bad term."""
    try:
        said = Authorization.model_validate({"keyId": signer.key_id, "signature": "AA==", **terms})
    except ValidationError as error:
        raise Terminal(_first(error, "authorization")) from error
    _, signature = sign_message(signer, authorization.message(spec, institution, said))
    wire = said.model_copy(update={"signature": signature})
    return wire.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _read(manifest: IO[str]) -> tuple[Manifest, AIJobSpec]:
    try:
        job = read_one(manifest)
    except yaml.YAMLError as error:
        raise Terminal(f"{manifest.name} is no YAML: {error}") from error
    except ValueError as error:
        raise Terminal(f"{manifest.name} cannot be signed: {error}") from error
    if not isinstance(job, dict) or job.get("kind") != AIJOB.name:
        raise Terminal(f"{manifest.name} holds no AIJob; give one manifest with kind: AIJob")
    try:
        return job, AIJobSpec.model_validate(job.get("spec") or {})
    except ValidationError as error:
        raise Terminal(f"{manifest.name}: {_first(error, 'spec')}") from error


def _first(error: ValidationError, where: str) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, (where, *fault['loc'])))}: {fault['msg']}"


def _summary(spec: AIJobSpec, institution: str, signed: Manifest) -> str:
    residency = spec.residency.model_dump(mode="json", by_alias=True)
    return SIGNED.format(
        institution=institution,
        until=signed["notAfter"],
        runs=signed.get("maxRuns", 1),
        image=spec.image,
        entrypoint=" ".join(spec.entrypoint),
        data=", ".join(source.name for source in spec.data) or "none",
        residency=residency,
        purpose=signed.get("purpose") or "not stated",
    )
