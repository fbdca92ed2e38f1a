"""The trial of a user's module: what it measures, and the one line for each thing that can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.transfer.engines.user_modules import MINE, PLAIN, facts, write
from transfer.engines.own import call, load
from transfer.errors import TransferError

# Part of PLAIN -> what stands there instead, and what the trial says then.
FAULTS = {
    "no such callable": ("class Plain", "class Other", r"Plain is not in it; it has Other, by_14"),
    "an exception": ("super().__init__()", "1 / 0", r"mine\.py:\d+: Plain\(\) failed: ZeroDivisionError"),
    "no module": ("class Plain(nn.Module)", "class Plain", "failed|expected a torch.nn.Module"),
    "an argument": ("side=16", "side", "missing 1 required positional argument"),
    "no maps": ("return self.norm(x)", "return {}", "the module gave no maps"),
    "tokens": ("return self.norm(x)", "return x.flatten(2)", r"is a tensor \(2, 24, 392\); expected \(N, C,"),
    "text": ("return self.norm(x)", "return {'a': 'b'}", "'a' of two images of 224x448 is a str"),
    "NaN": ("return self.norm(x)", "return self.norm(x) * float('nan')", "holds NaN, infinity or integers"),
    "integers": ("return self.norm(x)", "return x.long()", "holds NaN, infinity or integers"),
    "no whole stride": ("3, 24, side, side", "3, 24, 5, 5", "is 44x89: no whole stride"),
    "two strides": ("3, 24, side, side", "3, 24, (16, 8), (16, 8)", "is 14x56: no whole stride"),
    "one size only": (
        "x = self.patch",
        "assert x.shape[2] == 224\n        x = self.patch",
        "fails on images",
    ),
    "the batch": (
        "return self.norm(x)",
        "return x - x.mean((0, 2, 3), keepdim=True)",
        "depends on the batch",
    ),
    "no gradient": (
        "self.norm =",
        "self.fc = nn.Linear(2, 3)\n        self.norm =",
        "no gradient reaches fc",
    ),
    "another mode": (
        "return self.norm(x)",
        "return [self.norm(x)] * (1 + self.training)",
        "in training mode the maps",
    ),
    "pixels of 0 to 1": (
        "[127.5] * 3, [127.5]",
        "[0.5] * 3, [127.5]",
        "pixel_mean is .* for pixels from 0 to",
    ),
    "four pixels": ("[127.5] * 3, [127.5] * 3", "[127.5] * 3, [127.5] * 4", "pixel_std is .* three numbers"),
    "colours": ("pixel_mean,", "input_format = 'GBR'\n    pixel_mean,", "input_format is 'GBR'; expected"),
    "a name": ("return self.norm(x)", r"return {'a\n': x}", "is no name of a map"),
}


def test_it_measures_what_the_module_gives(tmp_path: Path) -> None:
    found = facts(write(tmp_path), "Mine")
    assert found["maps"] == ["stage0", "stage1", "stage2", "stage3"]
    assert (found["strides"], found["channels"]) == ([4, 8, 16, 32], [16, 24, 32, 40])
    assert (found["patch"], found["blocks"], found["kept_sha256"]) == (0, 0, "")
    assert found["parameters"] == found["trainable"] == 10832
    assert (found["num_tensors"], found["drawn_tensors"]) == (28, 8), "norms start at ones and zeros"


def test_one_map_without_a_name_patches_blocks_and_pixels(tmp_path: Path) -> None:
    found = facts(write(tmp_path, PLAIN), "by_14")
    assert (found["maps"], found["strides"], found["channels"]) == (["map"], [14], [24])
    assert (found["patch"], found["blocks"]) == (14, 3)
    assert (found["pixel_mean"], found["pixel_std"]) == ([127.5] * 3, [127.5] * 3)
    assert "input_format" not in found, "it is not stated"


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_one_line(tmp_path: Path, fault: str) -> None:
    there, instead, told = FAULTS[fault]
    assert there in PLAIN
    with pytest.raises(TransferError, match=told) as refused:
        facts(write(tmp_path, PLAIN.replace(there, instead)), "Plain")
    assert "mine.py" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def build(:\n", r"mine\.py.*cannot be imported: SyntaxError"),
        ("import nowhere_to_be_found\n", r"mine\.py:1: cannot be imported: ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", r"mine\.py:2: cannot be imported: SystemExit: 3"),
        ("build = 3\n", "build is not callable; it has none"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path: Path, text: str, told: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(TransferError, match=told):
        call(load(file, "build"), file)


def test_weights_fit_exactly_or_not_at_all(tmp_path: Path) -> None:
    file = write(tmp_path)
    state = call(load(file, "Mine"), file).state_dict()
    assert facts(file, "Mine", state)["maps"]
    name = next(iter(state))
    for changed, told in (
        ({n: t for n, t in state.items() if n != name}, f"28 tensors: 1 missing: {name}"),
        ({**state, "fc.weight": torch.zeros(1)}, "1 unexpected: fc.weight"),
        ({**state, name: torch.zeros(2, 3)}, rf"1 of another shape: {name} \(2, 3\), not \(16, 3, 4, 4\)"),
    ):
        with pytest.raises(TransferError, match=told):
            facts(file, "Mine", changed)


def test_a_callable_that_loads_its_weights_is_noticed(tmp_path: Path) -> None:
    text = MINE + "\n\ndef loaded():\n    import torch\n    torch.manual_seed(7)\n    return Mine()\n"
    found = facts(write(tmp_path, text), "loaded")
    assert found["drawn_tensors"] == 0
    assert found["loads_itself"]
    assert len(found["kept_sha256"]) == 64


PARTLY = """

def partly():
    import torch
    body = Mine()
    first = next(iter(body.state_dict().values()))
    first.copy_(torch.linspace(0, STEP, first.numel()).view_as(first))
    return body
"""


def test_a_small_part_that_is_loaded_is_hashed_too(tmp_path: Path) -> None:
    found = []
    for step in ("1", "2"):
        (tmp_path / step).mkdir()
        found.append(facts(write(tmp_path / step, MINE + PARTLY.replace("STEP", step)), "partly"))
    one, other = found
    assert one["kept_sha256"] != other["kept_sha256"]
    assert "" not in (one["kept_sha256"], other["kept_sha256"])
    assert one["drawn_tensors"] > 0
