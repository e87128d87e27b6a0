"""The image gets what the product needs at run time, and none of its tools."""

from pathlib import Path

from e2e.testbed.build.lockfile import read_pins, runtime_requirements

LOCK = """\
inner==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via outer
outer==2.0 \\
    --hash=sha256:cc
    # via
    #   hansa (pyproject.toml)
    #   tool
tool==3.0 \\
    --hash=sha256:dd
    # via hansa (pyproject.toml:dev)
"""
REPOSITORY = Path(__file__).resolve().parents[4]


def test_needs_are_followed_to_the_end():
    kept = runtime_requirements(LOCK)

    assert [line.split("==")[0] for line in kept.splitlines() if "==" in line] == ["inner", "outer"]


def test_hashes_are_kept_and_notes_are_not():
    kept = runtime_requirements(LOCK)

    assert "sha256:bb" in kept
    assert "#" not in kept


def test_the_projects_own_lock_gives_the_product_without_its_tools():
    lock = (REPOSITORY / "requirements.lock").read_text()
    names = {pin.name for pin in read_pins(runtime_requirements(lock))}

    assert {"aiohttp", "kopf", "pydantic", "pydantic-core", "numpy"} <= names
    assert not {"pytest", "sphinx", "mypy"} & names


def test_setup_takes_the_lock_as_it_stands_and_resolves_nothing_again():
    # pip prefers a newer release of what an extra names (coverage[toml]) to the pin, then refuses it
    makefile = (REPOSITORY / "Makefile").read_text()
    locked = "--quiet --no-deps --require-hashes -r requirements.lock"
    assert f"LOCKED := {locked}\n" in makefile
    from_lock = [line for line in makefile.splitlines() if "install $(LOCKED)" in line]
    assert len(from_lock) == 1
    assert makefile.count("-r requirements.lock") == 1
    assert "install --quiet --no-deps --require-hashes -r .venv/uv.lock" in makefile
