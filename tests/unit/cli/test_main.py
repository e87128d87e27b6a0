"""The command line without a cluster: help, errors, exit codes, keys."""

import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hansa.adapters.keys import Ed25519Signer
from hansa.cli import main as entry
from hansa.cli.lazy import load
from hansa.cli.processes import PROCESSES
from hansa.errors import NotFound, Retryable, Terminal


def run(*arguments, **environment):
    return CliRunner(env=environment).invoke(entry.cli, arguments)


HELP = """
import sys
from hansa.cli.main import cli
cli(["--help"], standalone_mode=False)
print(*(name for name in sys.modules if name.startswith("hansa.cli.")), file=sys.stderr)
"""


def test_help_lists_every_command_without_importing_any():
    """In a process of its own: what is taken out of ``sys.modules`` here is another's a test later."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)

    assert all(f"  {name} " in done.stdout for name in entry.COMMANDS)
    loaded = set(done.stderr.split())
    assert "hansa.cli.main" in loaded
    commands = {row[0].partition(":")[0] for row in entry.COMMANDS.values()}
    assert loaded & commands == {"hansa.cli.processes"}, (
        "but the list of processes, which imports none"
    )


@pytest.mark.parametrize(("name", "row"), entry.COMMANDS.items(), ids=entry.COMMANDS.keys())
def test_every_command_has_its_name_and_a_page(name, row):
    assert load(row[0]).name == name
    assert run(name, "--help").exit_code == 0


NO_DOCUMENT = {
    **dict.fromkeys(("cancel", "join", "accept", "keygen"), "it acts"),
    **dict.fromkeys(("bundle", "lab", "release", "release-result", "settle"), "it acts"),
    **dict.fromkeys((process.name for process in PROCESSES), "it is a process"),
    **dict.fromkeys(("convert", "sign"), "it prints a manifest"),
    "logs": "it prints a text that is not its own",
    "hub-key": "it prints one word",
    "statement": "it has formats of its own (--format)",
    "verify": "it is told by the exit code",
}


@pytest.mark.parametrize("name", sorted({*entry.COMMANDS} - NO_DOCUMENT.keys()))
def test_what_a_command_shows_programs_can_read(name):
    (option,) = [one for one in load(entry.COMMANDS[name][0]).params if "-o" in one.opts]
    assert {"json", "yaml"} < {*option.type.choices}


def test_an_unknown_command_is_a_usage_error():
    result = run("explode")
    assert result.exit_code == 2
    assert "No such command 'explode'" in result.output


SENTENCES = {
    "no such kind": (
        NotFound("404 NotFound: the server could not find the requested resource"),
        "this cluster does not know Hansa's kinds",
    ),
    "no such group": (
        NotFound("404 Error: 404 page not found"),
        "this cluster does not know Hansa's kinds",
    ),
    "not logged in": (Terminal("401 Unauthorized: Unauthorized", status=401), "log in again"),
    "no such object": (NotFound('404 NotFound: aijobs "x" not found'), '"x" not found'),
    "no answer": (Retryable("cannot connect"), "check --kubeconfig and --context"),
    "forbidden": (Terminal("403 Forbidden: no", status=403), "ask the platform team"),
    "anything else": (Terminal("the disk is full"), "the disk is full"),
}


@pytest.mark.parametrize(("error", "text"), SENTENCES.values(), ids=SENTENCES.keys())
def test_errors_are_one_sentence(error, text):
    assert text in entry.sentence(error)


def test_an_error_ends_with_one(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["hansa", "hub-key", "/no/such/key"])
    with pytest.raises(SystemExit) as caught:
        entry.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("Error: cannot read signing key /no/such/key")


def test_a_new_key_is_private_and_never_replaces_one(tmp_path):
    path = tmp_path / "owner.pem"
    result = run("keygen", str(path))
    assert result.exit_code == 0
    signer = Ed25519Signer.from_file(path)
    assert result.stdout.strip() == signer.public_key
    assert signer.key_id in result.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = run("keygen", str(path))
    assert isinstance(again.exception, Terminal)
    assert Ed25519Signer.from_file(path).public_key == signer.public_key


def test_the_public_half_of_a_key_file(tmp_path):
    path = tmp_path / "hub.pem"
    made = run("keygen", str(path))
    assert run("hub-key", str(path)).stdout == made.stdout


USAGE = {
    "hub-key": (["hub-key", "secret/only"], "secret/NAMESPACE/NAME"),
    "accept": (
        ["accept", "tartu", "--identity-key", "abc", "--release-key", "x"],
        "a P-256 point in base64: 44 characters",
    ),
    "accept without a release key": (
        ["accept", "tartu", "--identity-key", "Ag" + "A" * 42, "--release-key", "x"],
        "32 bytes in base64",
    ),
    "join": (["join", "--node", "tartu", "--out", "x"], "give --hub-kubeconfig"),
}


@pytest.mark.parametrize(("arguments", "text"), USAGE.values(), ids=USAGE.keys())
def test_usage_errors_say_what_would_be_right(arguments, text):
    result = run(*arguments)
    assert result.exit_code == 2
    assert text in result.output


@pytest.mark.parametrize("name", [process.name for process in PROCESSES])
def test_a_process_is_started_by_its_name(monkeypatch, name):
    started = []
    monkeypatch.setattr("hansa.cli.processes.load", lambda target: lambda: started.append(target))
    assert run(name).exit_code == 0
    assert started == [f"hansa.{name}.app:main"]


LISTS = ("status", "nodes", "top", "queue", "wait")
BOOKS = ("balance", "bill", "statement")
SLOW = {"pydantic", "aiohttp", "numpy", "kopf", "kubernetes", "alembic"}
NEEDLESS = dict.fromkeys(LISTS, SLOW) | dict.fromkeys(BOOKS, SLOW - {"pydantic"})
LOADED = """
import sys
from hansa.cli.lazy import load
load(sys.argv[1])
print(*sys.modules)
"""


@pytest.mark.parametrize("name", NEEDLESS)
def test_a_command_that_shows_loads_no_client_and_no_more_models_than_it_needs(name):
    """Half a second of every start, which no clock could prove on a busy machine."""
    argv = [sys.executable, "-c", LOADED, entry.COMMANDS[name][0]]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert not NEEDLESS[name] & set(done.stdout.split())
