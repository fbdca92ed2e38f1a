"""Nothing out of a file reaches the terminal raw: no name of a tensor, key, global or file, in any text."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.__main__ import main
from converters.backbone import load_backbone, save_backbone
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.printable import LONGEST_LINE, listed, printable
from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.foreign_names import prefixed
from tests.converters.hostile_pickles import glob, text
from tests.converters.safetensors_bytes import write

ROOT = Path(__file__).parents[2]
# A window title, a cleared screen, a forged line, a colour; text turned round, hidden, broken off.
ESCAPES = "\x1b]0;PWNED\x07\x1b[2J\rerror: \x9b31m\n\u202eevil\u2066\u200b\u2028\x00\x7f\ud800"
SHOWN = r"\x1b]0;PWNED\x07\x1b[2J\rerror: \x9b31m\n\u202eevil\u2066\u200b\u2028\x00\x7f\ud800"


def test_what_is_unprintable_is_escaped_and_nothing_else() -> None:
    assert printable(ESCAPES) == SHOWN
    assert printable(printable(ESCAPES)) == SHOWN
    for plain in ("layer1.0.conv1.weight", "Müller/模型 (1).pth", "C:\\a b", "é€😀", ""):
        assert printable(plain) == plain
    for character in map(chr, range(0x11000)):
        shown = printable(f"a{character}")
        assert shown.isprintable()
        assert (shown == f"a{character}") == character.isprintable()


def test_long_text_is_cut_with_a_count() -> None:
    assert printable("x" * 70, 50) == "x" * 50 + "... (20 more characters)"
    assert listed(["a", "b", "c"], 3) == "a, b, c"
    assert listed(["a", "b\n", "c", "d"], 2) == r"a, b\n and 2 more"
    assert len(listed(["x" * 10**6] * 10**3)) < 3_000


def test_the_error_itself_is_printable() -> None:
    assert str(CheckpointError(f"{ESCAPES}: no such file")) == f"{SHOWN}: no such file"


def run(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code and all that was printed, of which every line must be printable and short."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = int(str(stop.code))
    told = capfd.readouterr()
    lines = (told.out + told.err).split("\n")
    assert all(line.isprintable() for line in lines), lines
    assert max(map(len, lines)) < LONGEST_LINE + 100
    return code, told.out + told.err


def in_a_bystanders_name(w: Weights, name: str) -> dict[str, np.ndarray]:
    return w | {f"{name}.weight": np.ones(3, "f4")}


def in_the_prefix(w: Weights, name: str) -> dict[str, np.ndarray]:
    return prefixed(w, f"{name}.")


def in_two_prefixes(w: Weights, name: str) -> dict[str, np.ndarray]:
    return prefixed(w, f"{name}.") | {f"b{name}.{n}": a * a.dtype.type(2) for n, a in w.items()}


def in_an_unexpected_name(w: Weights, name: str) -> dict[str, np.ndarray]:
    return w | {f"layer1.0.{name}.weight": np.ones(3, "f4")}


def in_a_wrong_shapes_name(w: Weights, name: str) -> dict[str, np.ndarray]:
    return prefixed(w | {"layer1.0.conv1.weight": np.ones((3, 3, 3, 3), "f4")}, f"{name}.")


PLACES: dict[str, tuple[Callable[[Weights, str], Weights], bool]] = {
    "bystander": (in_a_bystanders_name, True),
    "prefix": (in_the_prefix, True),
    "two prefixes": (in_two_prefixes, False),
    "unexpected": (in_an_unexpected_name, False),
    "wrong shape": (in_a_wrong_shapes_name, False),
}


@pytest.mark.parametrize("long", [False, True], ids=["escapes", "long"])
@pytest.mark.parametrize("place", PLACES)
def test_names_of_tensors(
    place: str, long: bool, tiny: Weights, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make, converts = PLACES[place]
    path = write(tmp_path / "a.safetensors", make(tiny, "x" * 900 if long else ESCAPES))
    code, told = run(capfd, "--inspect", path)
    assert code == (0 if converts else 2)
    assert ("more characters)" if long else SHOWN) in told
    code, told = run(capfd, path, tmp_path / "out.pkl")
    assert code == (0 if converts else 2)
    if converts:
        run(capfd, "--inspect", tmp_path / "out.pkl")
        load_backbone(tmp_path / "out.pkl")


@pytest.mark.parametrize("container", ["pth", "pkl"])
def test_names_of_globals_and_keys(
    container: str, tiny: Weights, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    evil = ESCAPES.replace("\n", "").replace("\ud800", "")
    payload = b"\x80\x02}" + text(evil) + text(evil) + b"s" + glob(evil, evil) + b")R\x86."
    path = tmp_path / "a.pkl"
    path.write_bytes(payload)
    code, told = run(capfd, "--inspect", path)
    assert code == 2
    assert "tries to run code elsewhere: \\x1b]0;PWNED" in told
    code, told = run(capfd, path, tmp_path / "out.pkl")
    assert code == 2
    assert "tries to run code elsewhere: \\x1b]0;PWNED" in told
    if container == "pth":
        torch.save({evil: tensors(tiny), "queue" + evil: {"n": torch.ones(2)}}, tmp_path / "a.pth")
        assert run(capfd, "--inspect", tmp_path / "a.pth")[0] == 0
        code, told = run(capfd, tmp_path / "a.pth", tmp_path / "out.pkl")
        assert code == 0
        assert "from \\x1b]0;PWNED" in told


def test_names_of_files(tiny: Weights, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"a\x1b[2J\n\xe2\x80\xae\xff.safetensors")
    path = write(tmp_path / name, tiny)
    assert run(capfd, "--inspect", path)[0] == 0
    output = os.fsdecode(os.fsencode(tmp_path) + b"/b\x1b[2J\n\xff.pkl")
    code, told = run(capfd, path, output)
    assert code == 0
    assert r"b\x1b[2J\n\udcff.pkl: all 318 tensors" in told
    assert load_backbone(output).manifest["source_file"] == name  # the record keeps what it was
    assert run(capfd, path, path)[0] == 2
    assert run(capfd, os.fsdecode(b"no\x1b\xff.pth"), "out.pkl")[0] == 2
    assert run(capfd, path, tmp_path / "b.pkl", "c\x1b[2J.pth")[0] == 2  # argparse's own message
    assert run(capfd, path, tmp_path / "c.pkl", "--source", ESCAPES)[0] == 2
    assert run(capfd, path, tmp_path / "c.pkl", "--prefix", ESCAPES)[0] == 2


def test_a_pipe_that_takes_utf8_strictly(tiny: Weights, tmp_path: Path) -> None:
    """Half a surrogate pair in a name would end a strict stream with an exception."""
    path = write(tmp_path / "a.safetensors", in_a_bystanders_name(tiny, ESCAPES))
    run = subprocess.run(
        [sys.executable, "-m", "converters", "--inspect", str(path)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(ROOT)},
    )
    assert SHOWN.encode() in run.stdout


@pytest.mark.parametrize("key", ["source", "encoder", "notes"])
def test_a_manifest_shown_elsewhere_cannot_hold_them(key: str, tiny: Weights, tmp_path: Path) -> None:
    """Other programs print these texts as they are, so no file with them is written or read."""
    backbone = open_checkpoint(write(tmp_path / "a.safetensors", tiny))
    for value in (ESCAPES, "a\tb"):
        facts = {**backbone.manifest, key: [value] if key == "notes" else value}
        with pytest.raises(CheckpointError, match="without control characters"):
            save_backbone(replace(backbone, manifest=facts), tmp_path / "b.pkl")
    with pytest.raises(CheckpointError, match="without control characters"):
        save_backbone(replace(backbone, manifest={**backbone.manifest, "notes": [3]}), tmp_path / "b.pkl")
    assert not (tmp_path / "b.pkl").exists()


def test_the_list_of_what_is_dropped_is_short(
    tiny: Weights, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    heads = {f"head{i:03}.{'x' * 50}.weight": np.ones(1, "f4") for i in range(300)}
    _, told = run(capfd, "--inspect", write(tmp_path / "a.safetensors", tiny | heads))
    dropped = next(line for line in told.splitlines() if line.startswith("dropped:"))
    assert dropped.endswith(" and 288 more")
    assert len(dropped) < 1_000
