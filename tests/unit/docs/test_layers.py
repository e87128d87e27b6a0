"""The page of the architecture shows the layers and floors that the linter of imports proves, and no others."""

import itertools
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text()
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LAYERS = [contract for contract in LINTER["contracts"] if contract["type"] == "layers"]
NAME = re.compile(r"`([\w/]+)`")


def floors(contract):
    """The floors of a contract, from the top down, as sets of names."""
    rows = [row.split("|") for row in contract["layers"]]
    return [frozenset(name.strip().removeprefix("hansa.") for name in row) for row in rows]


def table(heading):
    """The cells of the rows of the first table under a heading."""
    text = PAGE.partition(f"{heading}\n")[2]
    rows = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE).group().splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_every_package_stands_on_its_layer():
    [proven] = [floors(contract) for contract in LAYERS if "containers" not in contract]
    shown = {name: row[0] for row in table("## The layers") for name in NAME.findall(row[1])}
    assert shown.keys() == set().union(*proven)
    levels = [{shown[name] for name in floor} for floor in reversed(proven)]
    assert all(max(below) <= min(above) for below, above in itertools.pairwise(levels))


def test_every_package_shows_its_floors():
    inside = [contract for contract in LAYERS if "containers" in contract]
    proven = {
        container.removeprefix("hansa.").replace(".", "/"): floors(contract)
        for contract in inside
        for container in contract["containers"]
        if container.startswith("hansa.")
    }
    shown = {
        NAME.findall(package)[0]: [frozenset(NAME.findall(floor)) for floor in row.split("→")]
        for package, row in table("### Floors inside the packages")
    }
    assert shown == proven
