"""Rows that compare pooled features train a ConvNeXt: run, cut off, resumed, and converted as themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import convnext_tiny

from converters.convert import open_checkpoint
from converters.models.build import build
from pretrain import cli
from pretrain.methods.choose import joint_row, row_names, trains
from pretrain.networks.convnext import ConvNextEncoder, make_convnext
from pretrain.networks.encoders import feature_width, make_encoder_factory, pooled_features
from pretrain.optimizers.build import parameter_groups
from pretrain.training.load_encoder import load_encoder
from pretrain.training.updates import Updates
from tests.pretrain.kill_driver import equal, outcome
from tests.pretrain.methods.joint.cases import TINY
from tests.pretrain.methods.joint.runs import command
from tests.pretrain.methods.joint.test_files import READ

ARCH = "convnext_tinyw0.25x"
NAMES = [name for name in TINY if name != "densecl"]


class CutError(Exception):
    pass


def words(name: str, data: Path, output: Path, *more: str, **changed: str) -> list[str]:
    """The command of a tiny run, of four iterations on 64 pixels, so that small crops have 32."""
    given = command(name, data, output, "--max-iters", "4", "--save-iters", "2")
    for flag, value in {"--arch": ARCH, "--image-size": "64", **changed}.items():
        given[given.index(flag) + 1] = value
    return [*given, *more]


@pytest.fixture(scope="module")
def runs(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("convnexts")
    for name in NAMES:
        assert cli.main(words(name, image_folder, folder / name)) == 0
    return folder


def test_it_is_torchvisions_network() -> None:
    """All tensors but the classes' have its names and shapes; features are what its last layer gets."""
    theirs: Any = convnext_tiny(stochastic_depth_prob=0.0).eval()
    ours = make_convnext("convnext_tiny").eval()
    missing = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == (
        [],
        ["classifier.2.weight", "classifier.2.bias"],
    )
    theirs.classifier[2] = nn.Identity()
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(ours(x), theirs(x))
    assert feature_width(ours) == 768
    assert [feature_width(make_convnext(f"convnext_base{suffix}")) for suffix in ("w0.5x", "w0.25x")] == [
        512,
        256,
    ]


def test_a_head_stands_behind_the_features() -> None:
    encoder: Any = make_encoder_factory(ARCH, dim=1, bn_groups=2)()
    encoder.fc = nn.Linear(192, 5)
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(encoder(x), encoder.fc(pooled_features(encoder, x)))
    assert not any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in encoder.modules())


def test_layer_scales_are_neither_decayed_nor_adapted() -> None:
    """torchvision's have the shape (C, 1, 1), the authors' (C,), which every row excludes."""
    scales = {
        name: p for name, p in make_encoder_factory(ARCH, dim=8)().named_parameters() if "layer_scale" in name
    }
    assert len(scales) == 18
    for name in ("byol", "vicreg", "dino"):
        row = joint_row(name, ARCH).optimizer
        (group,) = parameter_groups(row, list(scales.items()), 256)
        assert (group["weight_decay"], group["adapt"], len(group["params"])) == (0.0, False, 18)


def test_rows_of_pooled_features_train_it_and_no_others() -> None:
    assert {name for name in row_names() if trains(joint_row(name, ARCH), ARCH)} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_converters_know_a_file_as_its_rows_and_compute_its_features(name: str, runs: Path) -> None:
    path = runs / name / "checkpoint_last.pth.tar"
    source, entry, prefix, _ = READ[name]
    backbone = open_checkpoint(path)  # every tensor of the file is accounted for, or it raises
    assert backbone.manifest["source"] == source
    assert backbone.manifest["family"] == "convnext"
    stored = torch.load(path, weights_only=True)[entry]
    first = stored[f"{prefix}features.0.0.weight"]
    assert np.array_equal(backbone.weights["downsample_layers.0.0.weight"], first)
    function: Any = build(backbone.manifest)
    function.load_state_dict({key: torch.from_numpy(value) for key, value in backbone.weights.items()})
    encoder, arch = load_encoder(path, torch.device("cpu"))
    assert (arch, type(encoder)) == (ARCH, ConvNextEncoder)
    x = torch.randn(2, 3, 64, 64)
    last = function.eval()(x)
    maps = list(last.values())[-1] if isinstance(last, dict) else last[-1]
    normed = encoder.get_submodule("classifier")(maps.mean((2, 3), keepdim=True))
    torch.testing.assert_close(normed, encoder(x), rtol=1e-4, atol=1e-5)


def test_the_encoder_alone_is_torchvisions_file(runs: Path) -> None:
    """A finished run of VICReg leaves it, too, as its publisher's code does."""
    backbone = open_checkpoint(runs / "vicreg" / f"{ARCH}.pth")
    assert backbone.manifest["source"] == "torchvision_convnext"


@pytest.mark.parametrize("name", ["byol", "dino"])
def test_a_run_that_is_cut_off_ends_like_the_other(
    name: str, runs: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, done = Updates.step, []

    def cut(self: Updates, loss: torch.Tensor) -> None:
        done.append(step(self, loss))
        if len(done) == 3:
            raise CutError

    given = words(name, image_folder, tmp_path / name)
    with monkeypatch.context() as patched:
        patched.setattr(Updates, "step", cut)
        with pytest.raises(CutError):
            cli.main(given)
    assert cli.main(given) == 0
    assert equal(outcome(tmp_path / name), outcome(runs / name))


@pytest.mark.parametrize(
    ("name", "changed", "more", "told"),
    [
        (
            "densecl",
            {},
            (),
            f"--arch {ARCH}: densecl trains ResNets; of ConvNeXts choose among --method barl",
        ),
        (
            "simsiam",
            {"--method": "moco_v2"},
            (),
            "queue trains ResNets; of ConvNeXts choose among --method ba",
        ),
        ("simsiam", {"--method": "supervised"}, (), "supervised trains ResNets; of ConvNeXts choose among"),
        (
            "simsiam",
            {"--arch": "convnext_tinny"},
            (),
            "unknown --arch 'convnext_tinny'; nearest: convnext_ti",
        ),
        (
            "simsiam",
            {},
            ("--small-images",),
            f"--small-images: is a stem for ResNets; leave it out with {ARCH}",
        ),
        ("dino", {"--image-size": "32"}, (), "...dino_local: is 16 pixels wide, too few for the four stages"),
    ],
)
def test_bad_input_is_one_line(
    name: str,
    changed: dict[str, str],
    more: tuple[str, ...],
    told: str,
    image_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = words(name, image_folder, tmp_path / "out", *more, **changed)
    if "--method" in changed:  # which has no flag of a row
        first = given.index("--method")
        given = [*given[: first + 2], "--arch", ARCH, "--max-iters", "4"]
    assert cli.main(given) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
