"""Every command of every package: without its requirements, into a closed pipe, on an ASCII terminal."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from converters import command as guard
from tests.conftest import ROOT
from tests.source import OURS

DOCTOR = "-m benchmarks.doctor"  # what is missing is its answer, and no error
# command -> arguments that bring it to the first of its requirements
COMMANDS = {
    "-m benchmarks.run": "--list",
    "benchmarks/run.py": "--list",
    DOCTOR: "",
    "-m benchmarks.top": "x",
    "-m benchmarks.demo": "",
    "-m benchmarks.front": "table",
    "benchmarks/demo.py": "",
    "-m benchmarks.demo_kit.make": "x --command a --commit b --hardware c --images d --terms e",
    "-m benchmarks.per_image": "x",
    "-m benchmarks.rescore": "x",
    "benchmarks/shuffle_bn.py": "--data x --output y",
    "-m converters": "--list",
    "-m pretrain": "--data x --output y",
    "-m pretrain.linear": "--data x --pretrained y",
    "-m pretrain.features": "--data x --pretrained y --output z",
    "-m pretrain.knn": "--data x --pretrained y",
    "-m pretrain.leak": "--data x --pretrained y",
    "-m results": "table",
    "-m transfer.datasets": "list",
    "-m transfer.evaluation": "voc_c4 x",
}
# what those print that are quick and need no data
PRINTING = (
    "-m benchmarks.run --list",
    "-m converters --list",
    "-m transfer.datasets list",
    "-m results paper",
)
# imported where it is there, or by what only a user of it starts; moco_transfer is our own, installed
OPTIONAL = {
    "moco_transfer",
    "detectron2",
    "densepose",
    "fvcore",
    "hotcoco",
    "huggingface_hub",
    "submitit",
    "timm",
}
# Ends the entry point with --help and then prints what ASCII does not have.
AFTERWARDS = """
import runpy, sys
name = sys.argv.pop(1)
try:
    (runpy.run_path if name.endswith(".py") else runpy.run_module)(name, run_name="__main__")
except SystemExit:
    pass
print("\\u2500")
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python in which nothing is installed."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


def start(
    words: str,
    folder: Path,
    interpreter: str | Path = sys.executable,
    stdout: int = subprocess.PIPE,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """`python WORDS` in another folder than the checkout, with more in its environment."""
    parts = [str(ROOT / word) if word.endswith(".py") else word for word in words.split()]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "",
        **more,
    }
    return subprocess.run(
        [str(interpreter), *parts],
        cwd=folder, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=100,
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != DOCTOR])
def test_without_its_requirements_one_line_says_how_to_install(name: str, bare: Path, tmp_path: Path) -> None:
    done = start(f"{name} {COMMANDS[name]}", tmp_path, bare)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    missing = re.match(r"error: (\w+) is not installed in ", done.stderr)
    assert missing, done.stderr
    assert missing[1] in guard.REQUIRED
    assert f"run `make .venv/.installed` in {ROOT} and start {ROOT}/.venv/bin/python" in done.stderr
    assert f"or `pip install -e {ROOT}`" in done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is begun"


def test_the_doctor_names_all_that_is_missing(bare: Path, tmp_path: Path) -> None:
    done = start(DOCTOR, tmp_path, bare)
    assert (done.returncode, done.stderr) == (1, "")
    assert f"PROBLEM  not installed: {', '.join(guard.REQUIRED)}\n" in done.stdout
    assert done.stdout.count("->") == 1, "one advice"
    assert done.stdout.endswith("PROBLEM  1 to mend\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "unbuffered"), [
    *((f"{name} --help", "") for name in COMMANDS),
    *((words, "") for words in PRINTING),
    *((words, "1") for words in PRINTING),
])  # fmt: skip
def test_a_closed_pipe_ends_it_quietly(words: str, unbuffered: str, tmp_path: Path) -> None:
    """As `| head -1` does, and sooner: at the first word where nothing is buffered, at the end elsewhere."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = start(words, tmp_path, stdout=writer, PYTHONUNBUFFERED=unbuffered)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (guard.CLOSED, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_what_ascii_lacks_becomes_a_question_mark(name: str, tmp_path: Path) -> None:
    entry = str(ROOT / name) if name.endswith(".py") else name.removeprefix("-m ")
    command = [sys.executable, "-c", AFTERWARDS, entry, "--help"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("?\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_a_whole_sentence(name: str, tmp_path: Path) -> None:
    _, description, *_ = start(f"{name} --help", tmp_path).stdout.split("\n\n")
    assert description.endswith(".")


@pytest.mark.parametrize("variable", ["PYTHONIOENCODING=ascii", "LC_ALL=C"])
def test_a_table_of_another_alphabet(variable: str, tmp_path: Path) -> None:
    name, _, value = variable.partition("=")
    done = start("-m results paper --table 2", tmp_path, **{name: value})
    assert (done.returncode, done.stderr) == (0, "")
    assert "super_IN1M" in done.stdout


@pytest.mark.parametrize("version", ["python3.7", "python3.8", "python3.9"])
def test_an_old_python_is_told_so(version: str, tmp_path: Path) -> None:
    places = [shutil.which(version), *Path.home().glob(f".pyenv/versions/{version[6:]}.*/bin/python")]
    works = [p for p in places if p and not subprocess.run([p, "-c", ""], capture_output=True).returncode]
    if not works:
        pytest.skip(f"no {version} on this machine")
    for name, arguments in COMMANDS.items():
        done = start(f"{name} {arguments}", tmp_path, works[0])
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert done.stderr.startswith(f"error: this is Python {version.removeprefix('python')}."), name
        assert f"`make PYTHON=python3.12 .venv/.installed` in {ROOT}" in done.stderr


def test_a_module_of_ours_that_is_missing_is_a_fault() -> None:
    def main() -> int:
        import transfer.no_such_module  # type: ignore[import-not-found]  # noqa: F401

        return 0

    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        guard.command(main)


def test_a_library_of_the_system_that_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    assert guard.command(main) == 2
    expected = "error: libGL.so.1 is missing in this system; OpenCV needs two: apt-get install libgl1"
    assert capsys.readouterr().err.startswith(expected)


def test_the_exit_code_is_the_commands() -> None:
    assert guard.command(lambda: 7) == 7


def test_the_requirements_are_those_of_setup_py() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (listed,) = (
        k.value for k in ast.walk(tree) if isinstance(k, ast.keyword) and k.arg == "install_requires"
    )
    wanted = {re.split(r"[<>=!~ ;\[]", requirement)[0] for requirement in ast.literal_eval(listed)}
    homes = importlib.metadata.packages_distributions()
    absent = [name for name in guard.REQUIRED if name not in homes]
    if absent:
        pytest.skip(f"not installed here: {', '.join(absent)}")
    for name in guard.REQUIRED:
        assert wanted & {home.lower() for home in homes[name]}, f"{name} is no requirement of setup.py"
    assert len(guard.REQUIRED) == len(wanted)


@pytest.mark.parametrize("package", OURS)
def test_whatever_is_imported_is_required(package: str) -> None:
    known = {*sys.stdlib_module_names, *OURS, *guard.REQUIRED, *OPTIONAL}
    for path in (ROOT / package).rglob("*.py"):
        if path.parent.name == "perf":  # only in a checkout, for developers
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            unknown = [name for name in names if name.partition(".")[0] not in known]
            assert not unknown, f"{path.relative_to(ROOT)} imports {unknown}"


def test_no_command_does_without_the_guard() -> None:
    """All that Python can start is one of those above; a cell is started by us alone, perf by developers."""
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if '__name__ == "__main__"' in text and path.parent.name != "perf" and path.name != "cell.py":
                assert "sys.exit(command(main))" in text, f"{path}: guard it, and add it to COMMANDS"
