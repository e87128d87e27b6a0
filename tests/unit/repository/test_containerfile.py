"""The Containerfile parses, is small and unprivileged, and makes the image that the testbed runs."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from e2e.testbed.build.binaries import Binaries
from e2e.testbed.build.images import ImageBuilder
from e2e.testbed.host.progress import Progress

ROOT = Path(__file__).parents[3]
PARSER = DockerfileParser(fileobj=io.BytesIO((ROOT / "Containerfile").read_bytes()))
STEPS = [(step["instruction"], step["value"]) for step in PARSER.structure]
STAGES = [n for n, (instruction, _) in enumerate(STEPS) if instruction == "FROM"]
LAST = STEPS[STAGES[-1] :]


class Recorder:
    """A blob store that remembers what an image would be made of."""

    def image(self, _name, layers, runtime):
        self.layers, self.runtime = dict(layers), runtime


@pytest.fixture
def testbed_image(monkeypatch):
    builder, recorder = ImageBuilder(Binaries(), Progress()), Recorder()
    monkeypatch.setattr(builder, "store", recorder)
    monkeypatch.setattr(builder, "_layer", lambda title, _key, make: (title, make))
    builder.hansa()
    return recorder


def last(instruction):
    return [value for found, value in LAST if found == instruction][-1]


def test_the_linter_finds_nothing():
    argv = [Path(sys.executable).parent / "hadolint", ROOT / "Containerfile"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (answer.stdout, answer.returncode) == ("", 0)


def test_it_starts_as_the_testbeds_image_does(testbed_image):
    environment = dict(pair.split("=", 1) for pair in last("ENV").split())

    assert json.loads(last("ENTRYPOINT")) == testbed_image.runtime.entrypoint
    assert last("USER") == testbed_image.runtime.user
    assert testbed_image.runtime.env.items() <= environment.items()


def test_it_installs_the_lock_that_the_testbeds_image_does(testbed_image):
    lock = testbed_image.layers["hansa dependencies"].keywords["requirements"]
    named = [path for _, value in STEPS for path in re.findall(r"--requirement (\S+)", value)]

    assert lock == (ROOT / "requirements/runtime.lock").read_text()
    assert named == ["requirements/build.lock", "requirements/runtime.lock"]


def test_pods_run_as_its_user():
    values = (ROOT / "helm").glob("*/values.yaml")
    users = {user for path in values for user in re.findall(r"runAs\w+: (\d+)", path.read_text())}

    assert users == set(last("USER").split(":"))


def test_nothing_is_installed_but_what_a_lock_names_and_the_wheel():
    commands = [part for kind, value in STEPS if kind == "RUN" for part in value.split("&&")]
    installs = [command.split() for command in commands if "pip" in command.split()]

    assert len(installs) == 3
    for words in installs:
        assert "--no-deps" in words
        assert "--require-hashes" in words or words[-1] == "/wheel/*.whl"


def test_the_last_stage_takes_one_folder_and_installs_nothing():
    assert [value for kind, value in LAST if kind == "COPY"] == [
        "--from=build /opt/hansa /opt/hansa"
    ]
    assert not [value for kind, value in LAST if kind == "RUN" and re.search("pip|apt", value)]


def test_what_it_copies_is_there_and_sent_to_the_builder():
    sent = re.findall(r"(?m)^!(\S+)$", (ROOT / ".dockerignore").read_text())
    copied = [
        source
        for kind, value in STEPS
        if kind == "COPY" and "--from" not in value
        for source in value.split()[:-1]
    ]

    assert {source.split("/")[0] for source in copied} == set(sent)
    assert all((ROOT / source).exists() for source in copied)
