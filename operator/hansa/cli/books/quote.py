"""``kubectl hansa quote``: cost, energy and CO₂ of a job at each node, before anybody submits it.

It is the most: the job may end before its time. Whether the law lets a node take it, ``explain`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import ValidationError

from hansa.accounting import amounts
from hansa.accounting.exports.tables import fixed
from hansa.accounting.quote import Demand, Quote
from hansa.accounting.quote import quote as work_out
from hansa.accounting.tariff import CPU
from hansa.adapters.clock import SystemClock
from hansa.api.aijob import AIJobSpec
from hansa.api.texts import first_fault
from hansa.cli.access import Access, with_access
from hansa.cli.books.declared import Declared, declared
from hansa.cli.display import Section, show, with_output
from hansa.cli.documents import read_one
from hansa.errors import Terminal
from hansa.grants.capacity import cpu_millis_of
from hansa.model.quantities import units

COLUMNS = ("NODE", "GPU CLASS", "AT MOST", "KWH", "KG CO2E", "DECLARED")
UNKNOWN = "not declared"


@click.command
@click.option(
    "-f",
    "--filename",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The job's manifest.",
)
@with_output
@with_access
def quote(filename: Path, output: str, access: Access) -> None:
    """Show what the job in FILENAME will cost at most, at each node, were it to begin now."""
    spec = read_job(filename.read_bytes())
    nodes = access.ask(declared)
    found = [*rows(spec, nodes, SystemClock().now())]
    show([Section("Quotes, the cheapest first", COLUMNS, found)], output)


def read_job(text: str | bytes) -> AIJobSpec:
    """Return the spec of the job in a manifest; raises ``Terminal`` naming the field that is wrong."""
    try:
        found: Any = read_one(text)
        if not isinstance(found, dict) or "spec" not in found:
            raise ValueError("it has no spec")  # noqa: TRY301  # told as the others are
        return AIJobSpec.model_validate(found["spec"])
    except ValidationError as error:
        raise Terminal(f"the job is not valid: spec.{first_fault(error)}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise Terminal(f"the file holds no AIJob: {error}") from None


def rows(spec: AIJobSpec, nodes: Iterable[Declared], now_s: float) -> Iterator[tuple[str, ...]]:
    """Yield a line for each node and class that has a price, the cheapest first."""
    found = [
        (told.amount, node.name, name, told)
        for node in nodes
        for name in classes(spec, node)
        if (told := _quoted(spec, node, name, now_s)) is not None
    ]
    for _, _, name, told in sorted(found, key=lambda row: row[:3]):
        yield _cells(name, told)


def classes(spec: AIJobSpec, node: Declared) -> list[str]:
    """Return the GPU classes of a node that the job asks for; for work without GPUs, the CPU's."""
    workers = spec.ray.workers
    if not workers.gpus:
        return [CPU]
    least = units(workers.gpu_memory) if workers.gpu_memory else 0
    there = {rate.gpu_class for rate in node.tariff.rates} - {CPU}
    there -= {name for name, memory in node.memory.items() if memory < least}
    return sorted(there & {workers.gpu_class} if workers.gpu_class else there)


def _quoted(spec: AIJobSpec, node: Declared, name: str, now_s: float) -> Quote | None:
    _, most = spec.ray.gang
    demand = Demand(
        gpu_class=name,
        gpus=most * spec.ray.workers.gpus,
        cpu_millis=cpu_millis_of(spec.ray, most),
        runtime_s=spec.max_runtime_seconds,
    )
    now_ms, watts = int(now_s * 1000), node.watts.get(name)
    return work_out(demand, node.tariff, now_ms, watts=watts, factor=node.factor)


def _cells(gpu_class: str, told: Quote) -> tuple[str, ...]:
    factor = told.factor
    return (
        told.node,
        gpu_class or "CPU",
        f"{amounts.text(told.amount)} {told.currency}",
        UNKNOWN if told.energy_wh is None else fixed(told.energy_wh, scale=1000, places=3),
        UNKNOWN if told.co2_grams is None else fixed(told.co2_grams, scale=1000, places=3),
        f"{factor.grams_per_kwh} g/kWh as of {factor.as_of}" if factor else "",
    )
