"""A child imports this copy of our packages and the standard library; Ctrl-C leaves it time to save."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.launch import child
from benchmarks.launch.job import environment_of_cell
from tests.conftest import ROOT

CHILD = """
import signal, sys, time
def save(*_):
    time.sleep(1)
    print("saved", flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, save)
print("ready", flush=True)
time.sleep(60)
"""
PARENT = f"""
import sys
from benchmarks.launch import child
sys.exit(child.run([sys.executable, '-c', {CHILD!r}]))
"""
# What a process sees that a command starts: our packages and the standard library's typing.
GRANDCHILD = "import benchmarks, typing; print(benchmarks.__file__, typing.__file__)"
INSTALLED = f"""
import subprocess, sys
from benchmarks.launch import child
print(child.own_path(), flush=True)
subprocess.run([sys.executable, "-c", {GRANDCHILD!r}], env=child.environment(), check=True)
"""


def test_the_exit_code_is_the_childs() -> None:
    assert child.run([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_ctrl_c_waits_for_the_child_to_save() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=60)
    assert (out, err, parent.returncode) == ("saved\n", "", 130)


def test_a_copy_in_site_packages_is_not_put_in_front_of_the_standard_library(
    site: tuple[Path, Path], tmp_path: Path
) -> None:
    """The backport `typing` lies beside it, as in every installation with cityscapesscripts."""
    interpreter, packages = site
    (packages / "typing.py").write_text("raise ImportError('the backport')\n")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [interpreter, "-c", INSTALLED]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    added, seen = done.stdout.splitlines()
    assert added == "[]"
    ours, typing = seen.split()
    assert Path(ours) == packages / "benchmarks" / "__init__.py"
    assert packages not in Path(typing).parents


def test_a_checkout_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before another copy, and before what the user's own folder calls by one of our names."""
    (tmp_path / "results.py").write_text("")
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    environment = environment_of_cell({"MORE": "1"})
    assert environment["PYTHONPATH"] == f"{ROOT}{os.pathsep}{tmp_path}"
    assert (environment["MORE"], environment["PYTHONFAULTHANDLER"]) == ("1", "1")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
    assert child.environment()["PYTHONPATH"] == os.environ["PYTHONPATH"], "once is enough"


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A Python whose site-packages hold our packages, and these."""
    import venv

    folder = tmp_path_factory.mktemp("site")
    venv.create(folder, with_pip=False, symlinks=True)
    interpreter = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([interpreter, "-c", code], text=True).strip())
    for name in child.PACKAGES:
        shutil.copytree(ROOT / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    return interpreter, packages
