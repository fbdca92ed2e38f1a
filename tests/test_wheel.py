"""An installation that is not editable: what the wheel holds, and that cells run from it anywhere."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import NARROW_KEYS, ROOT, TINY_KEYS
from tests.test_layering import OURS

COMMAND = ("-m", "moco_transfer")  # what the script moco-transfer calls
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
# As cityscapesscripts brings it into every installation, and as broken in front of the standard library.
BACKPORT = "raise ImportError('the backport of typing stands in front of the standard library')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of this tree; nothing is fetched for it."""
    try:
        version = importlib.metadata.version("setuptools")
    except importlib.metadata.PackageNotFoundError:
        version = "0"
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < (70, 1):
        pytest.skip(f"no setuptools that builds wheels by itself: found {version}, expected 70.1 or newer")
    source = tmp_path_factory.mktemp("source")
    for name in OURS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "tests").mkdir()  # a package that must stay outside
    shutil.copy(ROOT / "tests" / "__init__.py", source / "tests")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run([sys.executable, "-c", BUILD, folder], cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the wheel in its site-packages; the requirements come from where the tests' own are."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    interpreter = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.check_output([interpreter, "-c", code], text=True).strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "typing.py").write_text(BACKPORT)
    commit = ["-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "theirs"]
    for words in (["init", "-q"], commit):  # the user keeps a project around it
        subprocess.run(["git", *words], cwd=folder, check=True)
    # a line of a .pth is a path and no more: an editable installation there does not come along
    theirs = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "requirements.pth").write_text("".join(f"{path}\n" for path in theirs))
    return interpreter


def start(interpreter: Path, words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(interpreter), *words],
        cwd=folder, env={**environment, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def test_the_wheel_holds_what_is_in_the_tree(wheel: Path) -> None:
    """All code and all data below one name; of our folders only benchmarks/perf stays in the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for name in OURS for path in (ROOT / name).rglob("*") if path.is_file())
    tree = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    front = "benchmarks/front/"
    inside = {name.removeprefix(front) for name in tree if not name.startswith("benchmarks/perf/")}
    assert held == {f"moco_transfer/{name}" for name in inside}


@pytest.mark.slow
def test_a_cell_from_the_wheel(installed: Path, devkit: Path, tmp_path: Path) -> None:
    where = start(installed, ["-c", "import moco_transfer, benchmarks; print(benchmarks.__file__)"], tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(installed.parents[1]), "the checkout leaked in"
    words = ["--suite", "voc_c4", "--init", "random", "--smoke", "--data-root", str(devkit)]
    run = start(installed, [*COMMAND, "run", *words, *TINY_KEYS, *NARROW_KEYS], tmp_path)
    assert run.returncode == 0, run.stderr
    (path,) = (tmp_path / "runs" / "records").glob("*/*.json")
    record = json.loads(path.read_text())
    assert record["status"] == "finished"
    assert record["environment"]["git_commit"] is None, "the commit around a wheel is not ours"
    table = start(installed, [*COMMAND, "table"], tmp_path)
    assert (table.returncode, table.stderr) == (0, "")
    assert "super_IN1M" in table.stdout, "the published rows are in the wheel"
    report = start(installed, [*COMMAND, "report", "runs", "-o", "report.html"], tmp_path)
    assert (report.returncode, report.stderr) == (0, "")
    assert "voc_c4" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("words", "says"), [
    ("-m moco_transfer run --suite paper --init random --dry-run", "suite voc_semantic"),
    ("-m moco_transfer.benchmarks.run --suite voc_c4 --init random --dry-run", "suite voc_c4"),
    ("-m moco_transfer paper --table 2", "moco_IN1M"),
    ("-m moco_transfer convert --list", "moco"),
    ("-m moco_transfer data list", "voc_2007_trainval"),
    ("-m moco_transfer demo --help", "usage: moco-transfer demo"),
    ("-m moco_transfer pretrain --help", "usage: moco-transfer pretrain"),
    ("-m moco_transfer table --help", "usage: moco-transfer table"),
    ("-m moco_transfer completion bash", "complete -o filenames"),
    ("-m moco_transfer study --list", "frozen_on_real_sets"),
    ("-c import\tmoco_transfer;from\tbenchmarks.doctor\timport\tcell_process;print(*cell_process())",
     "a cell's process starts"),
])  # fmt: skip
def test_commands_from_the_wheel(words: str, says: str, installed: Path, tmp_path: Path) -> None:
    done = start(installed, [word.replace("\t", " ") for word in words.split(" ")], tmp_path)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_other_name_is_installed(installed: Path, tmp_path: Path) -> None:
    """A package of the user's keeps its name; two of one name in a process are refused with the reason."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "__init__.py").write_text("WHOSE = 'mine'")
    theirs = start(installed, ["-c", "import results; print(results.WHOSE)"], tmp_path)
    assert theirs.stdout.strip() == "mine"
    ours = start(installed, [*COMMAND, "table", "nowhere"], tmp_path)
    assert (ours.returncode, "no records in nowhere" in ours.stderr) == (2, True), ours.stderr
    both = start(installed, ["-c", "import results, moco_transfer"], tmp_path)
    assert "a package 'results' is imported already" in both.stderr
    assert str(tmp_path / "results") in both.stderr


def test_a_hint_names_the_installed_command(installed: Path, tmp_path: Path) -> None:
    done = start(installed, [*COMMAND, "data", "check", "dtd", "--data-root", "."], tmp_path)
    assert "moco-transfer data prepare dtd --data-root" in done.stderr + done.stdout
