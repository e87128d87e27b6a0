"""The official Ray image: built for ray (1000:100), whose home is closed to others and holds its Python.

Its layout is made in a folder, and a program is started there as the user that a run's pods state: what a
kubelet does, less the container.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hansa.member.run_settings import Runs
from hansa.reconcile.member.run_request import RenderOptions
from tests.conftest import skip_or_fail
from tests.unit.reconcile.member.ray.rendered_run import pods
from tests.unit.reconcile.member.run_request_kit import request

DIGEST = "sha256:" + "0" * 64
OFFICIAL = f"docker.io/rayproject/ray:2.60.0@{DIGEST}"
NAMES = {
    "Docker's": OFFICIAL,
    "short": f"rayproject/ray@{DIGEST}",
    "Docker's old name": f"index.docker.io/rayproject/ray:2.60.0@{DIGEST}",
    "Ray's own registry": f"cr.ray.io/rayproject/ray:nightly-py312@{DIGEST}",
    "a Harbor that keeps copies": f"harbor.uni.example/dockerhub/rayproject/ray:2.60.0-py311-gpu@{DIGEST}",
    "a cloud's copies": f"1234.dkr.ecr.eu-north-1.amazonaws.com/docker-hub/rayproject/ray-ml@{DIGEST}",
    "a registry with a port": f"registry.example:5000/rayproject/ray@{DIGEST}",
    "Anyscale's": f"docker.io/anyscale/ray:2.60.0-slim-py311@{DIGEST}",
}
OTHERS = {
    "a project that ends alike": f"docker.io/myrayproject/ray@{DIGEST}",
    "an image of that name": f"registry.example/rayproject@{DIGEST}",
    "a registry of that name": f"rayproject.example/team/ray@{DIGEST}",
}
RAY, USERS = 1000, 100
HOME, BIN = Path("home/ray"), Path("home/ray/anaconda3/bin")


@pytest.fixture(params=[0o750, 0o700], ids=["home open to its group", "home closed"])
def image(request) -> Iterator[Path]:
    """Return the root of a tree like the image's: home, Python in it, and scratch at /tmp."""
    if os.geteuid() != 0:
        skip_or_fail("another user's files need root")
    root = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders are closed to others
    root.chmod(0o755)
    (root / BIN).mkdir(parents=True)
    (root / BIN / "python3").symlink_to("/bin/sh")
    for path in (root / HOME, root / BIN.parent, root / BIN):
        os.chown(path, RAY, USERS)
    (root / HOME).chmod(request.param)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)  # as kubelet makes an emptyDir
    yield root
    shutil.rmtree(root)


def start(root: Path, pod: dict) -> subprocess.CompletedProcess[str]:
    """Start the image's python3, which here is a shell, as the pod says."""
    security, [container] = pod["spec"]["securityContext"], pod["spec"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    home = f"{root}{env['HOME']}"
    return subprocess.run(
        [root / BIN / "python3", "-c", 'mkdir -p "$HOME/ray" && id -u && id -g'],
        env={"PATH": "/usr/bin:/bin", "HOME": home},
        user=security["runAsUser"],
        group=security["runAsGroup"],
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def run_of(image: str, **settings) -> dict:
    options = RenderOptions(pods=Runs.model_validate(settings).pods())
    law = {"imageRegistries": ["docker.io/", "registry.example/"]}
    return pods(request(law, image=image, options=options))


@pytest.mark.parametrize("image", NAMES.values(), ids=NAMES)
def test_it_is_known_wherever_it_is_copied_to(image):
    user = Runs().pods().user_of(image)
    assert user is not None
    assert (user.uid, user.gid) == (RAY, USERS)


@pytest.mark.parametrize("image", OTHERS.values(), ids=OTHERS)
def test_no_other_is_taken_for_it(image):
    assert Runs().pods().user_of(image) == Runs().pods().user


@pytest.mark.parametrize("role", ["head", "worker", "submitter"])
def test_it_starts_and_its_home_can_be_written_to(image, role):
    done = start(image, run_of(OFFICIAL)[role])
    assert (done.stdout.split(), done.returncode) == ([str(RAY), str(USERS)], 0), done.stderr
    assert (image / "tmp/ray").stat().st_uid == RAY


def test_it_does_not_as_the_user_of_all_other_images(image):
    with pytest.raises(PermissionError):
        start(image, run_of(OFFICIAL, image_users=[])["head"])


def test_an_image_built_from_it_starts_by_a_row_of_the_settings(image):
    theirs = f"registry.example/ray-with-torch@{DIGEST}"
    row = {"imagePrefix": "registry.example/ray-with-torch", "uid": RAY, "gid": USERS}
    with pytest.raises(PermissionError):
        start(image, run_of(theirs)["head"])
    assert start(image, run_of(theirs, image_users=[row])["head"]).returncode == 0
