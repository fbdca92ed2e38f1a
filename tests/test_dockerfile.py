"""The Dockerfile, which no test can build: every path, name and command in it is one that there is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.conftest import ROOT
from transfer.process.cache import VARIABLE

# Library that OpenCV may want of the system -> the package of the image's Debian that has it.
PACKAGES = {
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libxcb.so.1": "libgl1",  # needs libx11-6, which needs libxcb1
}
SLIM = r"(ld-linux.*|lib(c|m|dl|pthread|rt|gcc_s|stdc\+\+|z)\.so\.\d+)"  # in every image of Python


@pytest.fixture(scope="module")
def lines() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _value(lines: list[str], word: str) -> str:
    (found,) = (line.partition(" ")[2] for line in lines if line.startswith(f"{word} "))
    return found


def test_it_starts_our_command_on_a_python_that_is_taken(lines: list[str]) -> None:
    image = re.fullmatch(r"python:3\.(\d+)-slim-bookworm", _value(lines, "FROM"))
    assert image, "the names of packages below are those of bookworm"
    assert int(image[1]) >= 10
    setup = ast.unparse(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
    (command,) = json.loads(_value(lines, "ENTRYPOINT"))
    assert f"{command} = " in setup
    assert json.loads(_value(lines, "CMD")) == ["--help"]


def test_what_is_fetched_stays_in_the_mounted_folder(lines: list[str]) -> None:
    name, _, folder = _value(lines, "ENV").partition("=")
    places = [line.partition(" ")[2] for line in lines if line.startswith("WORKDIR ")]
    assert name == VARIABLE
    assert folder.startswith(f"{places[-1]}/")
    page = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    assert f"$PWD:{places[-1]}" in page


def test_what_git_ignores_is_not_copied() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    left_out = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for pattern in [*ignored, ".git"]:
        assert {pattern.strip("/"), f"**/{pattern.strip('/')}"} & set(left_out), pattern


def test_opencv_finds_its_libraries(lines: list[str]) -> None:
    """The wheel brings most of what it links; of the rest a slim system has the C library alone."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the image is one of Linux")
    own = Path(cv2.__file__).parent
    brought = {path.name: path for path in own.parent.glob("opencv_python*.libs/*")}
    left, wanted, seen = list(own.glob("*.so")), set(), set()
    while left:
        for name in _linked(left.pop()):
            if name in brought and name not in seen:
                seen.add(name)
                left.append(brought[name])
            elif name not in brought:
                wanted.add(name)
    wanted = {name for name in wanted if not re.fullmatch(SLIM, name)}
    assert wanted <= PACKAGES.keys(), "name the Debian package that has it, and install it in the image"
    (install,) = (line for line in lines if "apt-get install" in line)
    assert {PACKAGES[name] for name in wanted} <= set(install.split())


def _linked(path: Path) -> list[str]:
    try:
        told = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("readelf is not installed")
    return re.findall(r"\(NEEDED\).*\[(.+)\]", told)
