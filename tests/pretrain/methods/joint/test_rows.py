"""Every row goes through the command line: it trains, is killed and goes on, and refuses what it has not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
import torch
from torchvision.models.resnet import BasicBlock

from pretrain import cli, features, linear
from pretrain.methods.choose import joint_row
from pretrain.methods.joint.flags import GENERAL
from pretrain.methods.joint.frame import JointEmbedding
from pretrain.methods.joint.heads import head
from pretrain.methods.joint.spec import layers
from tests.pretrain.helpers import ROOT, module
from tests.pretrain.methods.joint.cases import TINY, tiny_row
from tests.pretrain.methods.joint.runs import ITERATIONS, command
from tests.pretrain.tiny import register_miniature, tiny_resnet

TRIALS = int(os.environ.get("JOINT_KILL_TRIALS", "1"))


@pytest.fixture(scope="module")
def runs(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    folder = tmp_path_factory.mktemp("rows")
    done = module("tests.pretrain.methods.joint.runs", image_folder, folder, TRIALS, 0)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", list(TINY))
def test_a_killed_run_ends_like_the_other(name: str, runs: tuple[Path, dict[str, int]]) -> None:
    assert runs[1][name] == TRIALS


@pytest.mark.parametrize("name", list(TINY))
def test_a_run_leaves_its_publishers_entries_and_all_its_values(name: str, runs: tuple) -> None:
    found = torch.load(runs[0] / name / "checkpoint_last.pth.tar", weights_only=True)
    assert {entry for entry in joint_row(name).layout.entries if entry in found} == set(
        joint_row(name).layout.entries
    )
    row = joint_row(name)
    recorded = found["identity"]
    assert recorded["mechanism"] == name
    assert {key for key in asdict(row) if key not in ("optimizer", "terms")} <= set(recorded)
    assert {f"optimizer_{key}" for key in asdict(row.optimizer)} <= set(recorded)
    assert not {"lr", "bn_groups", *GENERAL} & set(recorded) - set(asdict(row))
    lines = [json.loads(line) for line in (runs[0] / name / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(1, ITERATIONS + 1))
    assert all(0 <= line["std"] < 2 for line in lines)


def test_another_row_is_refused(runs: tuple, image_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register_miniature()
    folder = runs[0]
    assert cli.main(command("byol", image_folder, folder / "simsiam", "--max-iters", str(ITERATIONS))) == 2
    assert "was made with mechanism = simsiam, now byol" in capsys.readouterr().err
    words = ["--max-iters", str(ITERATIONS), "--resume", str(folder / "dino" / "checkpoint_last.pth.tar")]
    assert cli.main(command("swav", image_folder, folder / "new", *words)) == 2
    assert "was made with mechanism = dino, now swav" in capsys.readouterr().err
    assert not list((folder / "new").glob("*.tar"))


def test_features_are_those_of_the_evaluated_network(
    runs: tuple, image_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DINO's teacher, and its student with --key-encoder; a row without a slow copy has no other."""
    register_miniature()
    folder = runs[0]
    common = ["--data", str(image_folder), "--image-size", "32", "--device", "cpu"]
    for number, more in enumerate(([], ["--key-encoder"])):
        file = ["--pretrained", str(folder / "dino" / "checkpoint_last.pth.tar")]
        assert features.main([*common, *file, "--output", str(folder / f"{number}.npz"), *more]) == 0
    assert (folder / "0.npz").read_bytes() != (folder / "1.npz").read_bytes()
    file = ["--pretrained", str(folder / "vicreg" / "checkpoint_last.pth.tar"), "--key-encoder"]
    assert features.main([*common, *file, "--output", str(folder / "2.npz")]) == 2
    assert "holds no module.target_backbone.* tensors, which --key-encoder takes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("simsiam", "--moco-k 32", "--moco-k is no option of --method simsiam; its own are --views"),
        ("byol", "--temperature 0.1", "--temperature is no option of --method byol"),
        ("simsiam", "--projector 12:xx", "'12:xx' is no layer; expected layers such as"),
        ("simsiam", "--views v2", "expected two views at least, got 'v2'"),
        ("simsiam", "--views 2*v9", "'2*v9': expected views such as 2*swav"),
        ("simsiam", "--views 2*v2@9/2", "'2*v2@9/2': expected at most 4 times --image-size"),
        ("dino", "--keep-apart nothing", "invalid choice: 'nothing'"),
        ("nosuch", "", "invalid choice: 'nosuch'"),
        ("simsiam", "--sync-bn --no-sync-bn", "--no-sync-bn is given more than once; give it once"),
        ("barlow", "--exact-gradient --exact-gradient", "--exact-gradient is given more than once"),
        ("dino", "--clip no", "expected a finite number above 0, got 'no'"),
    ],
)
def test_a_wrong_option_is_one_line(
    name: str, more: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--method", name, "--data", "d", "--output", "o", *more.split()])
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "more", "told"),
    [
        ("nnclr", "--queue 20", "--queue 20 is not a multiple of the batch of 8; nearest valid: 16"),
        ("ressl", "--queue 4", "--queue 4 is not a multiple of the batch of 8; nearest valid: 8"),
        ("swav", "--prototypes 50", "cannot be used equally; lower --prototypes or give --queue 48"),
        ("simsiam", "--warmup-epochs 9", "the warm-up of 9 epochs takes 27 iterations of 5"),
        ("simsiam", "--target ema", "--target ema: simsiam's file has no place for target_backbone"),
        ("swav", "--target ema", "--target ema: swav's file has no place for target_backbone"),
        ("simclr", "--predictor 128", "--predictor 128: simclr's file has no place for predictor"),
        ("byol", "--prototypes 4", "--prototypes 4: byol's file has no place for prototypes"),
        ("swav", "--prototypes 0", "--prototypes 0: expected 2 or more to choose from"),
        ("dino", "--prototypes 1", "--prototypes 1: expected 2 or more to choose from"),
        ("ressl", "--target stop", "--target stop: ressl needs its slow copy; give --target ema"),
        ("dino", "--target stop", "--target stop: dino needs its slow copy; give --target ema"),
        ("byol", "--predictor 5b", "--predictor 5b: is 5 wide at its end; expected 6, the width of the"),
        ("nnclr", "--predictor 5b", "--predictor 5b: is 5 wide at its end; expected 6"),
        ("densecl", "--queue 20", "--queue 20 is not a multiple of the batch of 8; nearest valid: 16"),
        (
            "densecl",
            "--bn-groups 1",
            "shuffling BN would do nothing; use 2 or more groups or --no-shuffle-bn",
        ),
        ("densecl", "--dense-projector 6b-w", "--dense-projector 6b-w: expected a number at its end"),
        ("densecl", "--target stop", "--target stop: densecl needs its slow copy; give --target ema"),
        ("simsiam", "--projector w:bn-w", "--predictor 5:bn-10b: is 10 wide at its end; expected 8"),
        *[
            (name, "--views 3*v2", f"--views 3*v2: are 3 views; the loss of {name} takes 2, as in 2*v2")
            for name in TINY
            if name not in ("swav", "dino")
        ],
    ],
)
def test_values_that_do_not_fit_are_one_line(
    name: str, more: str, told: str, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_miniature()
    given = more.split()
    words = command(name, image_folder, tmp_path / "out", "--max-iters", str(ITERATIONS))
    place = words.index(given[0]) if given[0] in words else len(words)
    assert cli.main([*words[:place], *given, *words[place + 2 :]]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not list(tmp_path.rglob("*.tar"))


def test_presets_are_the_queue_with_published_options() -> None:
    """Of MoCo nothing moves: the names of the two papers stand for options that there were before."""
    common = ["--data", "d", "--output", "o"]
    plain = cli.read([*common])
    assert cli.read([*common, "--method", "moco_v1"]) == plain == cli.read([*common, "--mechanism", "queue"])
    written = ["--mlp", "--aug-plus", "--cos", "--moco-t", "0.2"]
    assert cli.read([*common, "--method=moco_v2"]) == cli.read([*common, *written]) != plain
    assert cli.read([*common, "--method", "moco_v2", "--moco-t", "0.1"]).method.moco_t == 0.1


def test_a_flag_changes_one_value_and_no_other() -> None:
    words = ["--data", "d", "--output", "o", "--method", "vicreg"]
    row, plain = cli.read([*words, "--variance", "0", "--lr", "0.3"]).method, joint_row("vicreg")
    changed = {key for key in asdict(row) if asdict(row)[key] != asdict(plain)[key]}
    assert changed == {"variance", "optimizer"}
    assert (row.optimizer.lr, row.optimizer.wd) == (0.3, plain.optimizer.wd)
    assert cli.read(words).batch_size == 2048
    assert joint_row("dino").optimizer.clip == 3.0
    assert cli.read([*words[:4], "--method", "dino", "--clip", "none"]).method.optimizer.clip is None
    assert cli.read([*words[:4], "--method", "dino", "--clip", "2"]).method.optimizer.clip == 2.0
    assert cli.read([*words, "--no-sync-bn"]).method.sync_bn is False
    rested = cli.read(["--data", "d", "--output", "o", "--method", "swav", "--freeze-iterations", "0"])
    assert rested.method.optimizer.freeze == ()


def test_the_help_of_a_row_imports_no_torch() -> None:
    """All values are read, and the options of a run, before anything heavy is."""
    code = (
        "import sys; from pretrain import cli; from pretrain.methods.choose import joint_row, row_names\n"
        "for name in row_names(): cli.build_parser(joint_row(name), name).format_help()\n"
        "cli.read(['--data', 'd', '--output', 'o', '--method', 'densecl'])\n"
        "print([name for name in ('torch', 'torchvision', 'cv2') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT) == "[]\n"


@pytest.mark.parametrize("name", list(TINY))
def test_the_last_scales_of_blocks_begin_as_published(name: str) -> None:
    """At 0 in these rows, at 1 in the others; the other scales at 1 in all."""
    method = JointEmbedding(tiny_row(name), lambda dim: partial(tiny_resnet, dim))
    first = 0 if name in ("simclr", "simsiam", "barlow", "vicreg", "moco_v3") else 1
    blocks = [part for part in method.modules() if isinstance(part, BasicBlock)]
    assert blocks
    for block in blocks:
        assert block.bn2.weight.eq(first).all()
        assert block.bn1.weight.eq(1).all()


def test_layers_without_a_bias_are_begun() -> None:
    row = joint_row("dino")
    built = head("6:gelu-4b", 3)
    row.initialise(built)
    assert not built[2].bias.any()


@pytest.mark.parametrize("name", list(TINY))
def test_the_linear_protocol_takes_every_row(name: str, runs: tuple, image_folder: Path) -> None:
    register_miniature()
    data = runs[0] / "labelled"
    data.mkdir(exist_ok=True)
    for part in ("train", "val"):
        if not (data / part).exists():
            (data / part).symlink_to(image_folder)
    file = ["--pretrained", str(runs[0] / name / "checkpoint_last.pth.tar"), "--data", str(data)]
    options = "--device cpu --image-size 32 -b 8 --epochs 1 -j 1 --schedule"
    assert linear.main([*file, *options.split()]) == 0
    assert set(json.loads((runs[0] / name / "linear.json").read_text())["top1"]) == {"30"}


def test_a_head_has_the_layers_of_its_text() -> None:
    """And the places of the published nn.Sequential: linear, norm, activation."""
    built = head("6:bn-wf:bn0-4b:bns", 3)
    assert [type(part).__name__ for part in built] == [
        "Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d",
    ]  # fmt: skip
    assert [tuple(part.weight.shape) for part in built if isinstance(part, torch.nn.Linear)] == [
        (6, 3),
        (3, 6),
        (4, 3),
    ]
    learning = [name for name, parameter in built.named_parameters() if parameter.requires_grad]
    assert learning == ["0.weight", "1.weight", "1.bias", "3.weight", "6.weight", "6.bias", "7.weight"]
    assert not layers("none")
    assert type(head("5b:gelu-2", 3)[1]).__name__ == "GELU"
