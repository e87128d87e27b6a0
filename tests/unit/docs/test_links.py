"""Every relative link, make target, command and path that the documentation names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hansa.cli.main import COMMANDS

ROOT = Path(__file__).parents[3]
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if "_build" not in path.parts
}
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
PATHS = re.compile(r"`((?:docs|operator|crds|helm|e2e|tests)/[a-z0-9_./-]+)`")

MODULES = re.compile(r"`((?:[a-z0-9_]+/)+[a-z0-9_]+\.py)(?:::\w+)?`")
FOLDERS = [ROOT / name for name in ("", "operator/hansa", "tests", "tests/unit/placement")]
"""Below which of them a module is named."""


@pytest.mark.parametrize("name", TEXTS)
def test_relative_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    targets = [target for target, _ in LINK.findall(TEXTS[name]) if target]
    missing = [target for target in targets if not (folder / target).exists()]
    assert not missing


@pytest.mark.parametrize("name", TEXTS)
def test_make_targets_exist(name):
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", TEXTS[name]))
    named |= set(re.findall(r"^make ([a-z-]+)(?=\s+#)", TEXTS[name], re.MULTILINE))
    assert named <= TARGETS


@pytest.mark.parametrize("name", TEXTS)
def test_commands_exist(name):
    named = set(
        re.findall(r"(?:`|^|\$ )(?:kubectl )?hansa ([a-z][a-z-]+)", TEXTS[name], re.MULTILINE)
    )
    assert named <= set(COMMANDS)


@pytest.mark.parametrize("name", TEXTS)
def test_named_paths_exist(name):
    assert not [path for path in PATHS.findall(TEXTS[name]) if not (ROOT / path).exists()]


@pytest.mark.parametrize("name", TEXTS)
def test_named_modules_exist(name):
    named = MODULES.findall(TEXTS[name])
    assert [path for path in named if not any((at / path).exists() for at in FOLDERS)] == []


@pytest.mark.parametrize("name", TEXTS)
def test_pages_end_with_one_newline_and_hold_no_tabs(name):
    text = TEXTS[name]
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\t" not in text
