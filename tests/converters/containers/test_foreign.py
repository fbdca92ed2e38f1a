"""Globals of a pickle: data types are noted, everything else is told as an attempt to run code."""

from __future__ import annotations

import argparse
import collections
import datetime
import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed.tensor
import torchvision

from converters.__main__ import main
from converters.containers.pickles.foreign import code_warning, is_harmless
from converters.containers.reading import open_file
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.hostile_pickles import CALLS, TARGETS, WRAPS, glob, text

KNOWN_HOMES = {"torch", "torchvision", "numpy", "typing", "typing_extensions", "abc", "collections"}
WARNING = "this file tries to run code elsewhere: {}; nothing was run here"


@pytest.mark.parametrize("container", WRAPS)
def test_every_target_is_told_in_the_refusal_and_by_inspect(
    container: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for module, name, argument in TARGETS:
        if container == "legacy" and "storage" in module:
            continue  # the word makes WRAPS announce a storage that is not there
        path = WRAPS[container](CALLS["reduce-2"](module, name, argument), tmp_path)
        expected = WARNING.format(f"{module}.{name}")
        with pytest.raises(CheckpointError) as refusal:
            open_checkpoint(path)
        assert str(refusal.value).endswith(f"; warning: {expected}"), (module, name)
        assert main(["--inspect", str(path)]) == 2
        assert f"\nwarning: {expected}\n" in capsys.readouterr().out, (module, name)


# Ways to reach a function without calling it in the pickle: its reader would call it, or import its module.
HIDDEN: dict[str, Callable[[bytes], bytes]] = {
    "named only": lambda g: b"\x80\x02" + g + b".",
    "thrown away": lambda g: b"\x80\x02" + g + b"0}.",
    "as an argument": lambda g: b"\x80\x02cfunctools\npartial\n" + g + text("x") + b"\x86R.",
    "as torch's rebuild function": lambda g: (
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(" + g + g + text("x") + b"\x85}tR."
    ),
    "as a class for copyreg": lambda g: b"\x80\x02ccopyreg\n_reconstructor\n" + g + g + b"N\x87R.",
    "as a key": lambda g: b"\x80\x02}" + g + b"Ns.",
    "as a state": lambda g: b"\x80\x02cargparse\nNamespace\n)R}" + text("f") + g + b"sb.",
    "in an array of objects": lambda g: (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x01\x85"
        b"cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R\x89]" + g + b"atb."
    ),
}


@pytest.mark.parametrize("way", HIDDEN)
def test_hidden_ways_are_told_too(way: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(HIDDEN[way](glob("posix", "system")))
    assert "posix.system" in open_file(path).foreign
    with pytest.raises(CheckpointError, match=r"tries to run code elsewhere: .*posix\.system"):
        open_checkpoint(path)


@pytest.mark.parametrize("part", range(5))
def test_every_pickle_of_a_legacy_file_is_looked_at(part: int, tmp_path: Path) -> None:
    """magic, protocol, system, object, storage keys: torch loads all five."""
    parts = [pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, {}, {"a": 1}, [])]
    parts[part] = b"\x80\x02" + glob("posix", "system") + b"0" + parts[part][2:]
    (tmp_path / "a.pt").write_bytes(b"".join(parts))
    with pytest.raises(CheckpointError, match=r"posix\.system" if part else "posix|no known|follows"):
        open_checkpoint(tmp_path / "a.pt")


def test_data_types_stay_a_note(tiny: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bystanders = {
        "args": argparse.Namespace(path=Path("x"), device=torch.device("cpu"), dtype=torch.bfloat16),
        "counts": collections.Counter("abc"),
        "queue": collections.deque([1]),
        "when": datetime.datetime(2026, 1, 1),
        "generator": np.random.default_rng(0),
        "state": np.random.RandomState(0),
        "scalar": np.float64(1),
        "set": {1},
        "module": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.GELU()),
        "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], 0.1),
        "whole": torchvision.models.resnet18(weights=None).layer1,
    }
    path = tmp_path / "a.pth"
    torch.save({"state_dict": tensors(tiny), **bystanders}, path)
    notes = open_checkpoint(path).manifest["notes"]
    assert not any("tries to run code" in note for note in notes), notes
    assert any(note.startswith("objects read as data, nothing imported or called: ") for note in notes)
    assert main(["--inspect", str(path)]) == 0
    told = capsys.readouterr().out
    assert "argparse.Namespace" in told
    assert "tries to run code" not in told


def test_a_pickle_that_breaks_off_after_a_call_is_told_too(tmp_path: Path) -> None:
    for end in (b"", b"R.", b"h\x07."):
        (tmp_path / "a.pkl").write_bytes(b"\x80\x02" + glob("posix", "system") + text("x") + b"\x85R" + end)
        with pytest.raises(
            CheckpointError, match=r"pickle .* code elsewhere: posix\.system; nothing was run"
        ):
            open_checkpoint(tmp_path / "a.pkl")


def test_both_kinds_are_told_apart(tiny: Weights, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return os.system, ("true",)

    path = tmp_path / "a.pth"
    torch.save({"state_dict": tensors(tiny), "args": argparse.Namespace(x=Payload())}, path)
    notes = open_checkpoint(path).manifest["notes"]
    assert "objects read as data, nothing imported or called: argparse.Namespace" in notes
    assert "warning: " + WARNING.format("posix.system") in notes


def test_no_way_from_a_harmless_name_to_something_else() -> None:
    """Everything loaded here that a harmless name leads to is data of torch, numpy and the like, or harmless
    under its own name too: no `from subprocess import Popen` of a library slips through."""
    wrong = []
    for module_name, module in list(sys.modules.items()):
        if not isinstance(module, types.ModuleType):
            continue
        for name, value in list(vars(module).items()):
            dotted = f"{module_name}.{name}"
            if not callable(value) or not is_harmless(dotted):
                continue
            home = str(getattr(value, "__module__", ""))
            own = f"{home}.{getattr(value, '__qualname__', '')}"
            if home.split(".")[0] not in KNOWN_HOMES and own != "builtins.module" and not is_harmless(own):
                wrong.append(f"{dotted} is {own}")
    assert not wrong
    for module_name, name, _ in TARGETS:
        assert not is_harmless(f"{module_name}.{name}")


@pytest.mark.parametrize(
    "name",
    ["torch.hub.load", "torch.os.system", "torch.nn.modules.os.system", "omegaconf.x.os.Popen", "numpy.load",
     "argparse.Namespace.x", "xargparse.Namespace", "builtins.getattr", "torch.load", "jax.x.evil.run",
     "torch.quantize_per_tensor", "dill._dill._create_function", "collections.namedtuple",
     "numpy.random.seed", "argparse.Namespace\n", "torch.serialization.load",
     "torch.distributed.elastic.agent.Popen"],
)  # fmt: skip
def test_near_misses_are_no_data_types(name: str) -> None:
    assert code_warning([name])


def test_many_names_are_cut_with_a_count() -> None:
    assert code_warning(f"a.f{i}" for i in range(20)).endswith("a.f7 and 12 more; nothing was run here")
    assert code_warning(["argparse.Namespace"]) == ""
