"""Rare files and places: the true reason in one line, an advice that works, and bounded work."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.__main__ import main
from converters.containers import array_files
from converters.containers import tensors as stored
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.finding import accounting, candidates, choosing
from converters.finding.health import ABSURD, LARGE
from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.containers.odd_files import legacy_tar, many_tensors
from tests.converters.safetensors_bytes import write


def test_npy_is_named(tmp_path: Path) -> None:
    for content in (np.ones((3, 4), "f4"), np.array({"state_dict": 1}, dtype=object)):
        np.save(tmp_path / "a.npy", content)
        with pytest.raises(CheckpointError, match=r"one numpy array \(\.npy\) without names; save all"):
            open_checkpoint(tmp_path / "a.npy")


def test_the_advice_for_torchs_tar_works(tiny: Weights, tmp_path: Path) -> None:
    old = legacy_tar(tensors(tiny), tmp_path / "old.pth.tar")
    assert torch.equal(  # torch itself takes the file for what it should be
        torch.load(old, weights_only=False)["layer1.0.conv1.weight"], tensors(tiny)["layer1.0.conv1.weight"]
    )
    with pytest.raises(CheckpointError, match="torch's tar format from before version 0.2") as refusal:
        open_checkpoint(old)
    command = shlex.split(str(refusal.value).partition("convert that: ")[2])
    words = {"python": sys.executable, "OLD": str(old), "NEW.pth": str(tmp_path / "new.pth")}
    subprocess.run([words.get(word, word) for word in command], check=True)
    weights = open_checkpoint(tmp_path / "new.pth").weights
    np.testing.assert_array_equal(weights["res2.0.conv1.weight"], tiny["layer1.0.conv1.weight"])


def test_other_tars(tiny: Weights, tmp_path: Path) -> None:
    write(tmp_path / "a.safetensors", tiny)
    with tarfile.open(tmp_path / "packed.tar", "w") as archive:
        archive.add(tmp_path / "a.safetensors", "a.safetensors")
    with pytest.raises(CheckpointError, match="a tar archive of files; unpack it first"):
        open_checkpoint(tmp_path / "packed.tar")
    whole = (tmp_path / "packed.tar").read_bytes()
    (tmp_path / "packed.tar").write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:300])
    with pytest.raises(CheckpointError, match="tar archive"):
        open_checkpoint(tmp_path / "packed.tar")


def saved(state: dict[str, torch.Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


def test_an_expanded_bystander_does_no_harm(tiny: Weights, tmp_path: Path) -> None:
    mask = torch.ones(1).expand(2**40)
    backbone = open_checkpoint(saved(tensors(tiny) | {"fc.mask": mask}, tmp_path / "a.pth"))
    np.testing.assert_array_equal(backbone.weights["stem.conv1.weight"], tiny["conv1.weight"])


def test_an_expanded_weight_is_refused_for_that_reason(tiny: Weights, tmp_path: Path) -> None:
    weights = tensors(tiny)
    name = "layer2.0.bn1.weight"
    weights[name] = torch.ones(1).expand(weights[name].shape)
    with pytest.raises(CheckpointError, match=rf"{name}: an expanded tensor of shape .* save the .*clone"):
        open_checkpoint(saved(weights, tmp_path / "a.pth"))
    weights[name] = weights[name].clone()
    open_checkpoint(saved(weights, tmp_path / "a.pth"))


def test_expansion_never_costs_memory(tiny: Weights, tmp_path: Path) -> None:
    """A whole network of petabytes, every tensor from one stored number."""
    wide = {
        name: torch.ones(1).expand([size * 2**20 if size > 7 else size for size in array.shape])
        for name, array in tiny.items()
        if array.ndim
    }
    with pytest.raises(CheckpointError):
        open_checkpoint(saved(wide, tmp_path / "a.pth"))


def test_overlapping_views_that_fit_are_read(tiny: Weights, tmp_path: Path) -> None:
    weights = tensors(tiny)
    name = "layer1.0.bn1.weight"
    base = torch.arange(1.0, 50.0)
    weights[name] = base.as_strided(weights[name].shape, (3,), 5)
    array = open_checkpoint(saved(weights, tmp_path / "a.pth")).weights["res2.0.conv1.norm.weight"]
    np.testing.assert_array_equal(array, weights[name].numpy())


class Counter:
    """Counts the calls of a function; the work on a file, without a clock."""

    def __init__(self, module: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, original = 0, getattr(module, name)

        def counted(*args: object, **kwargs: object) -> object:
            self.calls += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> dict[str, Counter]:
    return {
        "described": Counter(stored.StoredTensor, "place", monkeypatch),
        "named": Counter(candidates, "_readings", monkeypatch),
        "accounts": Counter(choosing, "account", monkeypatch),
        "searched": Counter(accounting, "left_inside", monkeypatch),
    }


def test_more_tensors_than_any_checkpoint_has_are_refused_unseen(
    work: dict[str, Counter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count, message in (
        (300_000, "header of .* bytes; expected at most"),
        (10_001, "10,001 tensors; .* at most 10,000"),
    ):
        path = many_tensors(
            (f"net{i}.layer1.0.conv1.weight" for i in range(count)), tmp_path / "a.safetensors"
        )
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(path)
    monkeypatch.setattr(array_files, "MAX_TENSORS", 100)
    np.savez(tmp_path / "a.npz", **{f"a{i}": np.ones(1, "f4") for i in range(101)})
    with pytest.raises(CheckpointError, match="101 tensors; expected at most 100"):
        open_checkpoint(tmp_path / "a.npz")
    assert {name: counter.calls for name, counter in work.items()} == dict.fromkeys(work, 0)


@pytest.mark.parametrize("per_network", [1, 60])
def test_as_many_networks_as_fit_cost_bounded_work(
    per_network: int, work: dict[str, Counter], tmp_path: Path
) -> None:
    """10,000 tensors: one of each of 10,000 networks, or 60 of each of 166."""
    ends = ("weight", "bias", "running_mean", "running_var")
    parts = [f"layer3.{i}.bn{k}.{end}" for i in range(5) for k in (1, 2, 3) for end in ends]
    names = (f"net{i // per_network}.{parts[i % per_network]}" for i in range(10_000))
    with pytest.raises(CheckpointError, match="tensors of a ResNet-50 fit"):
        open_checkpoint(many_tensors(names, tmp_path / "a.safetensors"))
    assert work["described"].calls == work["named"].calls == 10_000
    assert work["accounts"].calls <= choosing.MOST_CANDIDATES
    assert work["searched"].calls <= choosing.MOST_CANDIDATES


def test_a_network_among_many_is_still_found(tiny: Weights, tmp_path: Path) -> None:
    crowd = {f"net{i}.layer1.0.conv1.weight": np.ones((1, 1, 1, 1), "f4") for i in range(500)}
    path = write(tmp_path / "a.safetensors", crowd | {f"zz.{name}": array for name, array in tiny.items()})
    assert open_checkpoint(path).manifest["prefix"] == "zz."


def test_long_names(tiny: Weights, tmp_path: Path) -> None:
    def save(dots: int) -> Path:
        return write(tmp_path / "a.safetensors", tiny | {"." * dots + "conv1.bias": np.ones(1, "f4")})

    assert open_checkpoint(save(900)).manifest["prefix"] == ""
    with pytest.raises(
        CheckpointError, match="a tensor name of 1,000,010 characters; expected at most 1,000"
    ):
        open_checkpoint(save(1_000_000))


def test_a_place_too_long_to_be_read_back_is_not_written(tiny: Weights, tmp_path: Path) -> None:
    nested: dict[str, object] = {"x" * 3_000: {"y" * 3_000: tensors(tiny)}}
    with pytest.raises(CheckpointError, match="container_path is longer than 4096 bytes"):
        open_checkpoint(saved(nested, tmp_path / "a.pth"))  # type: ignore[arg-type]


def scaled(tiny: Weights, ending: str, value: float) -> Weights:
    name = next(n for n in tiny if n.endswith(ending))
    return tiny | {name: np.full_like(tiny[name], value)}


@pytest.mark.parametrize("ending", ["conv1.weight", "bn2.weight", "bn1.running_var", "bn3.running_mean"])
@pytest.mark.parametrize("value", [1e30, -3e38, 1.01 * ABSURD])
def test_absurd_values_are_refused_without_numpys_warnings(
    value: float, ending: str, tiny: Weights, tmp_path: Path
) -> None:
    value = abs(value) if "var" in ending else value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CheckpointError, match=r"1 tensors hold values beyond 1e\+15 \(up to "):
            open_checkpoint(write(tmp_path / "a.safetensors", scaled(tiny, ending, value)))


@pytest.mark.parametrize(
    ("ending", "value", "told"),
    [
        ("conv1.weight", 0.99 * ABSURD, True),
        ("conv1.weight", 1.01 * LARGE, True),
        ("conv1.weight", 0.99 * LARGE, False),
        ("bn1.running_var", 1e9, False),
    ],
)
def test_large_values_are_a_warning(
    ending: str, value: float, told: bool, tiny: Weights, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone = open_checkpoint(write(tmp_path / "a.safetensors", scaled(tiny, ending, value)))
    found = [note for note in backbone.manifest["notes"] if "values beyond" in note]
    assert len(found) == told
    assert all(note.startswith("warning: 1 tensors hold values beyond 1e+06 (up to ") for note in found)


ADDRESSES = {
    "hf://timm/resnet50.a1_in1k": "hf download timm/resnet50.a1_in1k --local-dir resnet50.a1_in1k",
    "hf:/timm/resnet50.a1_in1k/model.safetensors": "hf download timm/resnet50.a1_in1k --local-dir",
    "timm/resnet50.a1_in1k": "if it is a HuggingFace model, download it first: hf download timm/resnet50",
    "https://x.org/a/moco_v2.pth.tar?dl=1": "curl -fL -o moco_v2.pth.tar 'https://x.org/a/moco_v2.pth.tar?dl=1'",
    "https://x.org": "curl -fL -o model.pth https://x.org",
    "https://x.org/$(touch x).pth": "curl -fL -o '$(touch x).pth' 'https://x.org/$(touch x).pth'",
    "s3://bucket/a.pth": "an address, not a file; download it first",
    "detectron2://ImageNetPretrained/MSRA/R-50.pkl": "an address, not a file; download it first",
    "facebookresearch/swav:main": "torch.hub.load('facebookresearch/swav:main', 'resnet50').state_dict()",
}


@pytest.mark.parametrize("given", ADDRESSES)
def test_addresses_are_told_how_to_fetch(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in ([given, "out.pkl"], ["--inspect", given]):
        assert main(arguments) == 2
        told = capsys.readouterr().err
        assert told.startswith(f"error: {given}: ")  # as given: pathlib makes one slash of two
        assert ADDRESSES[given] in told
        assert told.count("\n") == 1


@pytest.mark.parametrize("given", ["a.pth", "runs/a.pth", "a/b/c", "./timm/resnet50", "here/model", "/x/y"])
def test_a_missing_path_is_just_missing(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    with pytest.raises(CheckpointError, match="^[^:]*: no such file$"):
        open_checkpoint(given)
