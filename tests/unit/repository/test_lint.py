"""The figures of the house are measured right, and an allowance only shrinks."""

import pytest

from e2e.lint import MAX_PARAMETERS, Limit, Source, complaints

NARROW = "def f(self, a, b, /, c, d, *, e, f, g): ...\n"
WIDE = "class C:\n    def f(self, a, b, /, c, d, *, e, f, g, h): ...\n"
LONG = "def f():\n" + "    pass\n" * 20


@pytest.fixture
def source(tmp_path):
    """Return a function that lays files out and measures them."""

    def lay(**files):
        for name, text in files.items():
            path = tmp_path / "operator" / "hansa" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Source(tmp_path)

    return lay


def test_a_methods_own_object_is_no_parameter(source):
    assert MAX_PARAMETERS == 7
    assert source(narrow=NARROW, wide=WIDE).wide == {"operator/hansa/wide.py": 1}


def test_packages_of_modules_are_counted_without_their_init(source):
    assert source(a="", b="", __init__="").modules == {"operator/hansa": 2}


@pytest.mark.parametrize("folder", ["operator/hansa", "e2e", "tests/unit"])
def test_every_folder_and_parameter_list_is_measured(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "operator").mkdir(exist_ok=True)
    (tmp_path / folder / "wide.py").write_text(WIDE)
    found = Source(tmp_path)
    assert found.modules == {folder: 1}
    assert found.wide == {f"{folder}/wide.py": 1}


def test_a_function_is_measured_with_its_signature(source):
    assert source(a=LONG, b=NARROW).lengths == [1, 21]


def test_long_functions_are_complained_about(source):
    assert "median function has 21 lines, at most 12" in set(complaints(source(a=LONG)))


LIMITS = {
    "within": ({}, {"a": 3}, []),
    "too many": ({}, {"a": 4}, ["a: 4 things, at most 3"]),
    "allowed": ({"a": 5}, {"a": 5}, []),
    "grown": ({"a": 5}, {"a": 6}, ["a: 6 things, at most 5"]),
    "mended": ({"a": 5}, {"a": 3}, ["a: keeps to 3 things; delete its allowance in e2e/lint.py"]),
    "gone": ({"a": 5}, {}, ["a: keeps to 3 things; delete its allowance in e2e/lint.py"]),
}


@pytest.mark.parametrize(("allowed", "found", "said"), LIMITS.values(), ids=LIMITS)
def test_an_allowance_only_shrinks(allowed, found, said):
    assert list(Limit("things", 3, allowed).complaints(found)) == said


SHARED = {
    "a name": "from tests.unit.hub.jobs.test_expiry import look\n",
    "a name, inside": "def f():\n    from tests.unit.hub.jobs.test_expiry import look\n",
    "the module": "import tests.unit.hub.jobs.test_expiry\n",
    "the module from its folder": "from tests.unit.hub import test_expiry as expiry\n",
}


@pytest.mark.parametrize("line", SHARED.values(), ids=SHARED)
def test_what_a_file_of_tests_gives_to_another_is_complained_about(tmp_path, line):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_orphans.py").write_text(line)
    assert Source(tmp_path).shared_tests == [f"tests/test_orphans.py: {_said(line)}"]


def test_kits_may_be_shared(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "kit.py").write_text("from tests.unit.hub import kit\nimport test_x\n")
    assert Source(tmp_path).shared_tests == []


IMPATIENT = {
    "a block": ("@timeout(5)", True),
    "a call": ("@wait_for(queue.take(), 20.0)", True),
    "as long as it takes": ("@timeout(PATIENCE_S)", False),
    "nothing is to come": ("@wait_for(queue.take(), 0.05)", False),
    "another clock's": ("wait.wait_for(server, 30.0)", False),
}


@pytest.mark.parametrize(("text", "told"), IMPATIENT.values(), ids=IMPATIENT)
def test_a_test_that_waits_for_guessed_seconds_is_complained_about(tmp_path, text, told):
    line = text.replace("@", "asyncio.")  # this file is one of tests, too
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_late.py").write_text(f"await {line}\n")
    assert Source(tmp_path).impatient == [f"tests/test_late.py: {line}"] * told


def _said(line):
    return line.splitlines()[-1].strip().partition(" import look")[0].removesuffix(" as expiry")
