"""The four lock files agree, the runtime's holds no tools, and setup installs them as they stand."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = {path.stem: path.read_text() for path in sorted((ROOT / "requirements").glob("*.lock"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(
    r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+) \\\n((?:    --hash=\S+(?: \\)?\n)+)", re.MULTILINE
)


def pins(lock):
    """Return name → (version, hashes)."""
    return {name: (version, hashes) for name, version, hashes in PIN.findall(LOCKS[lock])}


def asked(requirements):
    return {re.split(r"[\[>=<]", requirement)[0] for requirement in requirements}


def test_every_line_of_a_lock_is_a_pin_with_hashes():
    for lock, text in LOCKS.items():
        lines = [line for line in text.splitlines() if line and line[0] not in " #"]
        assert len(pins(lock)) == len(lines), lock


@pytest.mark.parametrize("lock", ["build", "dev", "docs"])
def test_what_two_locks_name_is_the_same_package(lock):
    runtime, other = pins("runtime"), pins(lock)

    assert {name: other[name] for name in other if name in runtime} == {
        name: runtime[name] for name in runtime if name in other
    }


def test_tools_agree_among_themselves():
    everything = [pair for lock in LOCKS for pair in pins(lock).items()]

    assert len(dict(everything)) == len({(name, *pin) for name, pin in everything})


@pytest.mark.parametrize("group", ["build", "dev", "docs"])
def test_a_lock_holds_what_its_group_asks_for(group):
    assert asked(PROJECT["dependency-groups"][group]) <= set(pins(group))


def test_the_runtime_lock_holds_the_product_and_none_of_its_tools():
    needed = asked(PROJECT["project"]["dependencies"])
    tools = asked(r for group in PROJECT["dependency-groups"].values() for r in group)

    assert needed <= set(pins("runtime"))
    assert not (tools - needed) & set(pins("runtime"))


def dry_run(target):
    """Return the commands that make would run."""
    argv = ["make", "--dry-run", "--always-make", target]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_setup_takes_the_locks_as_they_stand_and_resolves_nothing_again():
    # pip prefers a newer release of what an extra names (coverage[toml]) to the pin, then refuses it
    text = dry_run("setup").replace("\\\n", " ")
    installs = re.findall(r"\binstall(?: --\S+| -r \S+)+", text)
    from_locks = [install for install in installs if " -r " in install]

    assert len(from_locks) == 3, "pip for the tools, uv for all, pip where uv finds no index"
    for install in from_locks:
        assert {"--no-deps", "--require-hashes"} <= set(install.split()), install
    for install in from_locks[1:]:
        assert set(re.findall(r"requirements/(\w+)\.lock", install)) == set(LOCKS)


def test_refreshing_writes_every_lock_by_those_before_it():
    text = dry_run("lock").replace("\\\n", " ")
    written = re.findall(r"pip compile (.*) -o requirements/(\w+)\.lock", text)

    assert {lock for _, lock in written} == set(LOCKS)
    for position, (arguments, _) in enumerate(written):
        before = [lock for _, lock in written[:position]]
        assert re.findall(r"-c requirements/(\w+)\.lock", arguments) == before
