"""Every method of vision transformers goes through the command line: trained, cut off, resumed, converted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from converters.convert import open_checkpoint
from converters.models.build import build
from pretrain import cli, features
from pretrain.errors import PretrainError
from pretrain.methods.choose import joint_row, row_names
from pretrain.methods.joint.flags import flag
from pretrain.training.load_encoder import load_encoder
from pretrain.training.start import put_in_place, read_start
from pretrain.training.updates import Updates
from tests.pretrain.kill_driver import equal, outcome
from tests.pretrain.methods.joint.cases import TINY as RESNETS
from tests.pretrain.methods.vits.cases import make_method, register_mini, tiny_row
from tests.pretrain.methods.vits.runs import NAMES, words

# The source that converters name, and the part of our file that it takes.
SOURCES = {"mae": "mae", "moco_v3": "moco_v3_vit", "dino": "dino_vit", "ibot": "ibot"}


class CutError(Exception):
    pass


@pytest.fixture(scope="module")
def runs(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    register_mini()
    folder = tmp_path_factory.mktemp("vits")
    for name in NAMES:
        assert cli.main(words(name, image_folder, folder / name)) == 0
    return folder


def checkpoint_of(runs: Path, name: str) -> Path:
    return runs / name / "checkpoint_last.pth.tar"


def test_every_row_is_tried() -> None:
    both = {*RESNETS, *NAMES}
    assert set(row_names()) == both
    with_vit = {name for name in both if joint_row(name, "vit_mini_patch8").vit is not None}
    assert with_vit == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_is_cut_off_ends_like_the_other(
    name: str, runs: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks and skipped blocks included; the third step is made again."""
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


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_its_publishers_and_its_converter_computes_what_was_trained(name: str, runs: Path) -> None:
    path, row = checkpoint_of(runs, name), joint_row(name, "vit_mini_patch8")
    stored = torch.load(path, weights_only=True)
    assert set(row.layout.entries) <= set(stored)
    recorded = stored["identity"]
    assert (recorded["mechanism"], recorded["arch"]) == (name, "vit_mini_patch8")
    backbone = open_checkpoint(path)
    assert backbone.manifest["source"] == SOURCES[name]
    function: Any = build(backbone.manifest, norm_taps=True)
    function.load_state_dict({key: torch.from_numpy(value) for key, value in backbone.weights.items()})
    encoder, arch = load_encoder(path, torch.device("cpu"))
    assert arch == "vit_mini_patch8"
    for size in (32, 64):
        x = torch.randn(2, 3, size, size)
        torch.testing.assert_close(function.eval().tokens(x)[:, 0], encoder(x), rtol=1e-5, atol=1e-5)


def test_what_rests_was_not_moved(runs: Path) -> None:
    """MoCo v3's patches; the positions of MAE and MoCo v3."""
    first = torch.load(runs / "moco_v3" / "checkpoint_00000002.pth.tar", weights_only=True)["state_dict"]
    last = torch.load(checkpoint_of(runs, "moco_v3"), weights_only=True)["state_dict"]
    still = [key for key in last if last[key].is_floating_point() and torch.equal(first[key], last[key])]
    names = ("pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias")
    assert set(still) == {f"module.{side}_encoder.{name}" for side in ("base", "momentum") for name in names}


def test_other_commands_take_them(
    runs: Path, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features of iBOT's teacher and student differ; MAE has no other encoder; a start is found."""
    common = ["--data", str(image_folder), "--image-size", "32", "--device", "cpu"]
    for number, more in enumerate(([], ["--key-encoder"])):
        file = ["--pretrained", str(checkpoint_of(runs, "ibot"))]
        assert features.main([*common, *file, "--output", str(tmp_path / f"{number}.npz"), *more]) == 0
    assert (tmp_path / "0.npz").read_bytes() != (tmp_path / "1.npz").read_bytes()
    file = ["--pretrained", str(checkpoint_of(runs, "mae")), "--output", str(tmp_path / "2.npz")]
    assert features.main([*common, *file, "--key-encoder"]) == 2
    assert "--key-encoder" in capsys.readouterr().err
    assert "cls_token" in next(iter(read_start(checkpoint_of(runs, "mae")).encoders.values()))
    lines = (runs / "ibot" / "log.jsonl").read_text().splitlines()
    assert all(0 <= json.loads(line)["std"] < 2 for line in lines)


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("dino", {"image_size": 36}, "--image-size 36: is 36 pixels wide, no multiple of the patch of 8"),
        ("dino", {"views": "2*dino_1+dino_local@3/7"}, "...dino_local: is 14 pixels wide, no multiple"),
        ("moco_v2", {}, "queue trains ResNets; of vision transformers choose among --method dino, ibot, mae"),
        ("simsiam", {}, "simsiam trains ResNets; of vision transformers choose among --method dino"),
        ("mae", {"arch": "resnet18"}, "mae trains vision transformers; of ResNets choose among --method bar"),
        ("mae", {"arch": "vit_huge_patch16"}, "unknown --arch 'vit_huge_patch16'; expected vit_SIZE_patchN"),
        ("mae", {"decoder_heads": 3}, "--decoder-width 512: expected a multiple of 4 and of --decoder-heads"),
        ("mae", {"monitor_every": 5}, "--monitor-every: mae has no monitor of collapse; leave it out"),
        ("ibot", {"views": "ibot_1@1/2+ibot_2"}, "the first two have masks; give them one size"),
        ("mae", {"mask_ratio": 1}, "--mask-ratio: expected a finite number above 0 and below 1, got '1'"),
        ("mae", {"mask_ratio": 0}, "expected a finite number above 0 and below 1, got '0'"),
        ("mae", {"views": "2*mae"}, "--views: expected one view, got '2*mae'"),
        ("ibot", {"masks": "0.9~0.3"}, "--masks: expected shares of patches between 0 and 1, not all 0"),
        (
            "ibot",
            {"views": "2*ibot_1", "projector": "8b:bn-6b"},
            "--projector 8b:bn-6b: patches go through it",
        ),
        (
            "mae",
            {"image_size": 8},
            "--mask-ratio 0.75: of 1 patches none is seen; lower it",
        ),
        ("mae", {"projector": "8"}, "--projector is no option of --method mae; its own are --views"),
    ],
)
def test_bad_input_is_one_line(
    name: str, more: dict[str, Any], told: str, image_folder: Path, tmp_path: Path, capsys: Any
) -> None:
    register_mini()
    values = {"arch": "vit_mini_patch8", "image_size": 32, "batch_size": 8, "max_iters": 4, **more}
    options = [word for key, value in values.items() for word in (flag(key), str(value))]
    given = ["--data", str(image_folder), "--output", str(tmp_path / "out"), "--method", name, *options]
    try:
        code = cli.main(given)
    except SystemExit as ended:
        code = ended.code
    error = capsys.readouterr().err
    assert code == 2
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_stem_for_small_images_is_refused(image_folder: Path, tmp_path: Path, capsys: Any) -> None:
    assert cli.main([*words("mae", image_folder, tmp_path / "out"), "--small-images"]) == 2
    assert "give vit_mini_patch8 a smaller patch instead" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "arch", "values"),
    [
        ("dino", "vit_small_patch16", {"temperature": 0.1, "prototypes": 65536, "drop_path": 0.1}),
        ("dino", "resnet50", {"views": "dino_resnet_1+dino_resnet_2+8*dino_resnet_local@3/7"}),
        ("moco_v3", "vit_base_patch16", {"temperature": 0.2, "predictor": "4096:bn-256:bn0", "ema": 0.99}),
        ("moco_v3", "resnet50", {"temperature": 1.0, "ema": 0.996}),
        ("mae", "vit_large_patch16", {"mask_ratio": 0.75, "decoder_depth": 8, "norm_pixels": True}),
        ("ibot", "vit_small_patch16", {"prototypes": 8192, "teacher_temperature": 0.07, "warm_epochs": 30}),
    ],
)
def test_the_network_decides_which_published_values_hold(
    name: str, arch: str, values: dict[str, Any]
) -> None:
    for given in (["-a", arch], [f"-a{arch}"], [f"--arch={arch}"], []):
        if given or joint_row(name).published.get("arch") == arch:
            options = cli.read(["--data", "d", "--output", "o", "--method", name, *given])
            assert options.arch == arch
            assert {key: getattr(options.method, key) for key in values} == values
            assert options.epochs == options.method.published["epochs"]  # type: ignore[attr-defined]


def test_a_network_of_other_heads_is_no_start(runs: Path) -> None:
    """MoCo v3 gives 12 heads to every size; the tensors of three look alike."""
    start = read_start(checkpoint_of(runs, "moco_v3"))
    with pytest.raises(PretrainError, match="its attention has 12 heads, that of this method 1; start from"):
        put_in_place(start, make_method(tiny_row("dino"), arch="vit_mini_patch8", image_size=32))
