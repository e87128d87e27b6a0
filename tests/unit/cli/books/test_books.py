"""What the commands say of the books, over real ones on disk."""

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from hansa.accounting.postings import Claim, Event
from hansa.cli.books import balance, bill, quote, statement
from hansa.cli.books.declared import read_node
from hansa.errors import Terminal
from hansa.ledger.receipts.endings import declared_by
from hansa.ledger.receipts.evidence import Evidence
from hansa.ledger.store.engine import open_engine
from hansa.ledger.store.writer import LedgerWriter
from tests.new_books import new_books
from tests.unit.accounting.usages import BEGAN_MS, digest, usage


@pytest.fixture
def books(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/books.db"
    engine = new_books(tmp_path)
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
def test_a_statement_is_the_same_to_the_byte(books: str, tmp_path: Path, form: str) -> None:
    made = []
    for number in (1, 2):
        path = tmp_path / f"{number}.{form}"
        options = ("--month", "2026-11", "--format", form, "--output", str(path))
        assert run(statement.statement, "clinic", *options, "--database", books).exit_code == 0
        made.append(path.read_bytes())
    assert made[0] == made[1]
    assert len(made[0]) > 200
    assert digest(2).encode() not in made[0] or form == "journal"


def declare(url: str, at_ms: int, grams: int, as_of: str) -> None:
    """Have the ledger hear of what a node declares."""
    carbon = {"gramsPerKwh": grams, "asOf": as_of}
    said = declared_by({"metadata": {"name": "tartu"}, "spec": {"carbon": carbon}}, at_ms)
    engine = open_engine(url)
    Evidence(engine).remember([], at_ms, [said])
    engine.dispose()


@pytest.mark.parametrize("form", [name for name in statement.FORMATS if name != "journal"])
def test_a_month_that_is_over_stays_as_it_was_told(books: str, form: str) -> None:
    """Also where a node declares another factor since, and a receipt of the month is found to be void."""
    options = ("--format", form, "--database", books)
    declare(books, BEGAN_MS, 400, "2026-05-01")
    first = run(statement.statement, "clinic", "--month", "2026-11", *options)
    assert first.exit_code == 0
    if form in {"csv", "table"}:
        assert "2026-05-01" in first.output
        assert "0.08" in first.output  # kg: two of 0.1 kWh each, at 400 g a kWh
    later_ms = BEGAN_MS + 35 * 86_400_000
    declare(books, later_ms, 20, "2027-01-01")
    engine = open_engine(books)
    LedgerWriter(engine).happen(Event.VOID, [digest(3)], later_ms, note="audit: lost")
    engine.dispose()
    again = run(statement.statement, "clinic", "--month", "2026-11", *options)
    assert again.output_bytes == first.output_bytes
    december = run(statement.statement, "clinic", "--month", "2026-12", *options)
    assert (form in {"pdf", "apel"}) or "void: audit: lost" in december.output


def test_a_statement_of_no_month_is_a_usage_error(books: str) -> None:
    told = run(statement.statement, "clinic", "--month", "November", "--database", books)
    assert told.exit_code == 2
    assert "for example 2026-11" in told.output


NO_BOOKS = {
    "no file": ("missing.db", "there are no books at"),
    "another's file": ("other.db", "no such table"),
    "no database": ("text.db", "not a database"),
    "a folder": ("folder", "unable to open"),
}


@pytest.mark.parametrize("command", [("bill", "a/b"), ("balance",), ("statement", "clinic")])
@pytest.mark.parametrize(("name", "says"), NO_BOOKS.values(), ids=NO_BOOKS)
def test_where_no_books_are_it_is_said_and_none_are_made(
    tmp_path: Path, name: str, says: str, command: tuple[str, ...]
) -> None:
    sqlite3.connect(tmp_path / "other.db").close()
    (tmp_path / "text.db").write_text("no database at all\n" * 99)
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    month = ("--month", "2026-11") if command[0] == "statement" else ()
    commands = {"bill": bill.bill, "balance": balance.balance, "statement": statement.statement}
    url = f"sqlite:///{tmp_path}/{name}"
    told = run(commands[command[0]], *command[1:], *month, "--database", url)
    assert isinstance(told.exception, Terminal)
    assert says in str(told.exception)
    assert "--database" in str(told.exception)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", [balance.balance, statement.statement])
def test_an_institution_that_the_books_do_not_know_is_no_empty_one(books: str, command) -> None:
    month = ("--month", "2026-11") if command is statement.statement else ()
    told = run(command, "clinik", *month, "--database", books)
    assert isinstance(told.exception, Terminal)
    assert "know no institution clinik; they know clinic, ut" in str(told.exception)


def test_who_has_pledged_and_used_nothing_is_known(books: str) -> None:
    engine = open_engine(books)
    pledge = Claim("pledge", "narva", "narva", 5_000_000, "EUR")
    LedgerWriter(engine).begin(Event.PLEDGE, [pledge], BEGAN_MS)
    engine.dispose()
    told = run(balance.balance, "narva", "--database", books)
    assert (told.exit_code, "bond" in told.output) == (0, True)


def test_a_month_without_use_is_an_empty_statement(books: str) -> None:
    told = run(statement.statement, "clinic", "--month", "2020-01", "--database", books)
    assert (told.exit_code, "none" in told.output) == (0, True)


def test_a_file_that_cannot_be_written_is_said(books: str, tmp_path: Path) -> None:
    options = ("--month", "2026-11", "--format", "csv", "--output", f"{tmp_path}/none/a.csv")
    told = run(statement.statement, "clinic", *options, "--database", books)
    assert isinstance(told.exception, Terminal)
    assert "cannot be written" in str(told.exception)


def test_a_table_is_for_the_screen_and_no_file_is_asked_for_in_vain(
    books: str, tmp_path: Path
) -> None:
    options = ("--month", "2026-11", "--output", f"{tmp_path}/a.txt")
    told = run(statement.statement, "clinic", *options, "--database", books)
    assert told.exit_code == 2
    assert "--format" in told.output


def test_a_job_s_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_bytes(b"\xff\xfe")
    told = run(quote.quote, "-f", f"{tmp_path}/job.yaml")
    assert isinstance(told.exception, Terminal)
    assert "holds no AIJob" in str(told.exception)


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


def test_the_gpus_of_all_pods_are_quoted() -> None:
    more = job(4).replace(
        "workers:", "head: {gpus: 4}, workerGroups: [{name: b, gpus: 4}], workers:"
    )
    [row] = quote.rows(quote.read_job(more), [read_node(node())], 1e9)
    assert row[:3] == ("tartu", "h100", "16.00 EUR")


def test_cards_with_less_memory_than_asked_for_are_not_quoted() -> None:
    thing = node()
    text = job(4).replace("gpus: 4", "gpus: 4, gpuMemory: 60Gi")
    rows = {}
    for memory in ("40Gi", "80Gi", "what?", None):
        row = {"gpuClass": "h100"} | ({"memory": memory} if memory else {})
        found = read_node(thing | {"status": {"inventory": [row]}})
        rows[memory] = [*quote.rows(quote.read_job(text), [found], 1e9)]

    # Of a class whose memory it does not tell a node gives none to a job that asks for some.
    assert rows["40Gi"] == rows[None] == []
    silent = [*quote.rows(quote.read_job(text), [read_node(node())], 1e9)]
    assert rows["80Gi"] == rows["what?"] == silent != []


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
