"""Deliberate defects apply to the code as it is, and ``make prove`` invents no figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.prove import runs
from tests.prove.__main__ import FIELDS, ORDER
from tests.prove.defects.defect import Defect, DriftError
from tests.prove.defects.table import DEFECTS

ROOT = Path(__file__).parents[2]
LEAST = 40


def test_there_are_enough_of_them():
    assert len(DEFECTS) >= LEAST


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_applies_and_names_who_sees_it(name):
    """One that does not apply any more proves nothing: change it with the code."""
    one = DEFECTS[name]
    assert one.spoilt(ROOT) != (ROOT / one.file).read_text()
    assert one.suites or one.seeds or one.plan
    for suite in one.suites:
        assert (ROOT / "tests" / suite.partition("::")[0]).is_file(), suite


def test_a_defect_that_no_longer_applies_is_told(tmp_path):
    (tmp_path / "file").write_text("now\nnow\n")
    for old in ("then", "now"):
        with pytest.raises(DriftError):
            Defect("file", old, "never").spoil(tmp_path)


def test_every_figure_has_one_part_that_gives_it_and_violations_are_added_up():
    given = [name for names in FIELDS.values() for name in names]
    assert sorted(given) == sorted((*ORDER, "violations"))


REPORT = """<testsuites><testsuite>
<testcase name="a"/><testcase name="b"><failure message="no">x</failure></testcase>
<testcase name="c"><skipped message="needs Linux"/></testcase>
</testsuite></testsuites>"""


def test_a_test_that_did_not_run_has_not_passed(tmp_path):
    (tmp_path / "report.xml").write_text(REPORT)
    read = runs._read(tmp_path / "report.xml")
    assert (read.passed, read.failed, read.skipped) == (1, ("b: no",), "needs Linux")
    unknown = runs._counted(runs.Outcomes(skipped="needs Linux"), "x", lambda n: n)
    assert (unknown.figures, unknown.not_run) == ({}, {"x": "needs Linux"})
