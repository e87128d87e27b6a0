"""Rules, dashboards and runbooks agree with the table of metrics."""

import re
from pathlib import Path

import pytest

from hansa.observability.alerts import ALERTS
from hansa.observability.dashboards import PANELS, dashboard
from hansa.observability.generate import files
from hansa.observability.metrics import METRICS

ROOT = Path(__file__).parents[3]
EXPORTED = {"hub": {"hub", "ledger"}, "member": {"member", "guard", "exporter"}}
"""Chart → processes it installs."""


@pytest.mark.parametrize(("name", "content"), files().items(), ids=files().keys())
def test_generated_files_are_up_to_date(name, content):
    assert (ROOT / name).read_text() == content, (
        "run: python -m hansa.observability.generate --write ."
    )


def names_in(expr):
    found = set(re.findall(r"\bhansa_[a-z_]+", expr))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


EXPRESSIONS = {
    **{alert.name: (alert.process, alert.expr) for alert in ALERTS},
    **{panel.title: (process, panel.expr) for process in PANELS for panel in PANELS[process]},
}


@pytest.mark.parametrize(("chart", "expr"), EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_expressions_use_metrics_of_their_chart(chart, expr):
    there = {metric.name for metric in METRICS if EXPORTED[chart] & set(metric.processes)}
    assert names_in(expr)
    assert names_in(expr) <= there


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    books = {path.stem for path in (ROOT / "docs" / "runbooks").glob("Hansa*.md")}
    assert books == {alert.name for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_tells_what_a_person_needs(alert):
    rule = alert.rule()
    assert rule["annotations"]["runbook_url"].endswith(f"/{alert.name}.md")
    assert alert.severity in {"critical", "warning", "info"}
    assert alert.summary.endswith(".")
    assert alert.description.endswith((".", "why."))
    book = (ROOT / "docs" / "runbooks" / f"{alert.name}.md").read_text()
    assert all(heading in book for heading in ("## Meaning", "## Look", "## Do"))


@pytest.mark.parametrize("process", PANELS)
def test_panels_do_not_overlap(process):
    places = [tuple(panel["gridPos"].values()) for panel in dashboard(process)["panels"]]
    assert len(set(places)) == len(places)
