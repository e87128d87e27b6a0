"""What the commands say of the books, over real ones on disk."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.accounting.postings import Event
from hansa.cli.books import balance, bill, quote, statement
from hansa.cli.books.declared import read_node
from hansa.errors import Terminal
from hansa.ledger.store.engine import migrate, open_engine
from hansa.ledger.store.writer import LedgerWriter
from tests.unit.accounting.usages import BEGAN_MS, digest, usage


@pytest.fixture
def books(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/books.db"
    engine = open_engine(url)
    migrate(engine)
    writer = LedgerWriter(engine, holdback_bp=1000)
    writer.record([usage(1), usage(2), usage(3, job="clinic/other", job_uid="u3")], BEGAN_MS)
    writer.happen(Event.POST, [digest(1)], BEGAN_MS)
    writer.happen(Event.VOID, [digest(2)], BEGAN_MS)
    writer.correct(digest(1), -100_000, BEGAN_MS, note="late tariff")
    engine.dispose()
    return url


def run(command, *arguments: str):
    return CliRunner().invoke(command, arguments, catch_exceptions=True)


def test_a_bill_adds_up_what_is_not_void(books: str) -> None:
    told = run(bill.bill, "clinic/train", "--database", books)
    assert told.exit_code == 0
    assert "Total 0.30 EUR" in told.output
    assert "Correction -0.10 EUR: late tariff" in told.output
    assert told.output.count("void") == 1


def test_a_job_without_receipts_is_said_to_have_none(books: str) -> None:
    told = run(bill.bill, "clinic/none", "--database", books)
    assert isinstance(told.exception, Terminal)
    assert "no receipt of clinic/none" in str(told.exception)


def test_a_balance_shows_accounts_and_what_is_due(books: str) -> None:
    told = run(balance.balance, "ut", "--database", books).output.split()
    assert told[told.index("receivable") + 1] == "0.26"
    assert told[told.index("holdback") + 1] == "0.04"
    assert "payable" not in told


@pytest.mark.parametrize("form", [name for name in statement.FORMATS if name != "table"])
def test_a_statement_is_the_same_to_the_byte(
    books: str, tmp_path: Path, form: str, monkeypatch
) -> None:
    monkeypatch.setattr(statement, "_factors", lambda _: {})
    made = []
    for number in (1, 2):
        path = tmp_path / f"{number}.{form}"
        options = ("--month", "2026-11", "--format", form, "--output", str(path))
        assert run(statement.statement, "clinic", *options, "--database", books).exit_code == 0
        made.append(path.read_bytes())
    assert made[0] == made[1]
    assert len(made[0]) > 200
    assert digest(2).encode() not in made[0] or form == "journal"


def test_a_statement_of_no_month_is_a_usage_error(books: str) -> None:
    told = run(statement.statement, "clinic", "--month", "November", "--database", books)
    assert told.exit_code == 2
    assert "for example 2026-11" in told.output


def node(name="tartu", accepted="Accepted", **spec):
    return {
        "metadata": {"name": name},
        "spec": {
            "institution": "ut",
            "jurisdiction": "EE",
            "legalControl": ["EE"],
            "accepted": accepted,
            "prices": [{"gpuClass": "h100", "perGpuHour": "2", "watts": 700}],
            "carbon": {"gramsPerKwh": 400, "asOf": "2026-05-01"},
            **spec,
        },
    }


JOB = """
spec:
  pool: league
  image: a/b@sha256:{digest}
  entrypoint: [python3]
  residency: {{location: {{allow: [World]}}, legalControl: {{allow: [World]}}}}
  ray: {{version: 2.60.0, workers: {{count: 2, gpus: {gpus}}}}}
  maxRuntimeSeconds: 1800
"""


def job(gpus: int) -> str:
    return JOB.format(digest="a" * 64, gpus=gpus)


def test_a_quote_is_told_for_each_node_the_cheapest_first() -> None:
    bare = {"prices": [{"gpuClass": "h100", "perGpuHour": "1"}], "carbon": None}
    things = [
        node(),
        node("riga", **bare),
        node("pending", "Pending"),
        {"metadata": {"name": "bad"}},
    ]
    nodes = [found for found in map(read_node, things) if found]
    told = list(quote.rows(quote.read_job(job(4)), nodes, 1e9))
    assert told == [
        ("riga", "h100", "4.00 EUR", "not declared", "not declared", ""),
        ("tartu", "h100", "8.00 EUR", "2.800", "1.120", "400 g/kWh as of 2026-05-01"),
    ]


def test_cards_with_less_memory_than_asked_for_are_not_quoted() -> None:
    thing = node()
    text = job(4).replace("gpus: 4", "gpus: 4, gpuMemory: 60Gi")
    rows = {}
    for memory in ("40Gi", "80Gi", "what?", None):
        row = {"gpuClass": "h100"} | ({"memory": memory} if memory else {})
        found = read_node(thing | {"status": {"inventory": [row]}})
        rows[memory] = [*quote.rows(quote.read_job(text), [found], 1e9)]

    assert rows["40Gi"] == []
    assert rows["80Gi"] == rows["what?"] == rows[None] != []


def test_work_without_gpus_is_quoted_by_cpu() -> None:
    found = read_node(node(cpuHourPrice="0.04"))
    [row] = quote.rows(quote.read_job(job(0)), [found], 1e9)
    assert row[:3] == ("tartu", "CPU", "0.06 EUR")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1", "holds no AIJob"),
        ("- x", "holds no AIJob"),
        (job(99), "ray.workers.gpus"),
        ("{", "holds no AIJob"),
        (b"\xff\xfe\x00", "holds no AIJob"),
    ],
)
def test_what_is_no_job_is_refused_by_its_field(text: str | bytes, says: str) -> None:
    with pytest.raises(Terminal, match=says):
        quote.read_job(text)
