"""The linear protocol: a frozen trunk, heads that do not meet, and a run that survives its interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pretrain import linear
from pretrain.errors import PretrainError
from pretrain.images.decode import Pixels
from pretrain.images.draws import Views
from pretrain.images.loader import Loading, batches
from pretrain.images.sources import find_images
from pretrain.monitors import linear_fit
from pretrain.monitors.protocols import LinearProtocol
from pretrain.networks.encoders import make_encoder_factory
from pretrain.process.signals import Signals
from pretrain.training.loop import train
from pretrain.training.totals import Totals
from pretrain.training.updates import Updates
from pretrain.training.watcher import Watcher
from tests.pretrain.helpers import Unsaved, module, overriding, write_images
from tests.pretrain.tiny import Miniature

CPU = torch.device("cpu")
OPTIONS = "--device cpu --image-size 32 -b 8 --lr 30 1 --epochs 4 --schedule 3 -j 1"


def write_trunk(path: Path, seed: int, head_seed: int = 0) -> Path:
    """A checkpoint of small_cnn in the published layout."""
    torch.manual_seed(seed)
    encoder = make_encoder_factory("small_cnn", dim=16)()
    torch.manual_seed(head_seed)
    torch.nn.init.normal_(encoder.fc.weight)
    tensors = {f"module.encoder_q.{name}": value for name, value in encoder.state_dict().items()}
    torch.save({"arch": "small_cnn", "state_dict": tensors}, path)
    return path


@pytest.fixture(scope="module")
def finished(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/, trunk.pth.tar and a finished run of OPTIONS under the default name."""
    root = tmp_path_factory.mktemp("linear")
    (root / "data").mkdir()
    for part in ("train", "val"):
        (root / "data" / part).symlink_to(image_folder)
    assert command(root, "--pretrained", write_trunk(root / "trunk.pth.tar", 0)) == 0
    return root


def command(root: Path, *more: str | Path) -> int:
    fixed = ["--data", str(root / "data"), "--pretrained", str(root / "trunk.pth.tar"), *OPTIONS.split()]
    return linear.main(overriding(fixed, list(map(str, more))))


def fit(root: Path, heads: list, lr: list[float]) -> None:
    protocol = LinearProtocol(tuple(lr), epochs=2, schedule=(1,), batch_size=8, image_size=16, seed=0)
    pixels = Pixels(find_images(write_images(root / "images", 16)))
    torch.manual_seed(0)
    running = linear_fit.Running(root, workers=1, device=CPU, print_every=1, save_minutes=10)
    linear_fit.fit(Miniature(4), heads, pixels, protocol, "x", running)


def test_result_and_log(finished: Path) -> None:
    result = json.loads((finished / "linear.json").read_text())
    assert set(result["top1"]) == {"30", "1"}
    assert result["arch"] == "small_cnn"
    lines = [json.loads(line) for line in (finished / "linear" / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [10, 12]
    assert all(line.keys() >= {"loss", "acc1", "acc5", "images_per_s"} for line in lines)


def test_a_finished_run_is_only_evaluated_again(
    finished: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (finished / "linear.json").read_text(), (finished / "linear" / "log.jsonl").read_text()
    monkeypatch.setattr(linear_fit, "pooled_features", None)  # no training step
    assert command(finished, "-j", "2") == 0
    assert "going on from iteration 12 of 12" in capsys.readouterr().out
    assert before == ((finished / "linear.json").read_text(), (finished / "linear" / "log.jsonl").read_text())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--lr 10 1", "lr = [30.0, 1.0], now [10.0, 1.0]"),
        ("--lr 30", "lr = [30.0, 1.0], now [30.0]"),
        ("--epochs 5", "epochs = 4, now 5"),
        ("--schedule 2", "schedule = [3], now [2]"),
        ("-b 4", "batch_size = 8, now 4"),
        ("--image-size 16", "image_size = 32, now 16"),
        ("--seed 1", "seed = 0, now 1"),
    ],
)
def test_not_continued_with_other_options(
    finished: Path, capsys: pytest.CaptureFixture, options: str, message: str
) -> None:
    assert_refused(finished, capsys, options.split(), f"was made with {message}; give the same options")


def test_not_continued_on_another_trunk_or_data(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """A trunk is known by its tensors: not by its file, and not by the head that it was trained with."""
    output = ["--output", str(finished / "linear.json")]
    other = write_trunk(tmp_path / "other.pth.tar", 1)
    assert_refused(finished, capsys, ["--pretrained", str(other), *output], "was made with trunk_sha256 = ")
    same = write_trunk(tmp_path / "same.pth.tar", 0, head_seed=1)
    assert command(finished, "--pretrained", same, *output) == 0
    capsys.readouterr()
    for part in ("train", "val"):
        write_images(tmp_path / "data" / part, 24, classes=3)
    data = ["--data", str(tmp_path / "data"), *output]
    assert_refused(finished, capsys, data, "was made with images_sha256 = ")


def assert_refused(root: Path, capsys: pytest.CaptureFixture, options: list[str], message: str) -> None:
    assert command(root, *options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


def test_refused(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(finished, capsys, ["--output", str(tmp_path / "result")], "expected FILE.json")
    assert_refused(finished, capsys, ["-b", "25"], "expected 1 to 24")
    overflow = ["--output", str(tmp_path / "nan.json"), "--lr", "1e38", "-p", "1"]
    assert_refused(finished, capsys, overflow, "lower --lr")
    assert not list(tmp_path.rglob("*.pth.tar"))
    monkeypatch.setenv("WORLD_SIZE", "2")  # as torchrun sets it
    assert_refused(finished, capsys, [], "runs in one process")


def test_heads_learn_apart(tmp_path: Path) -> None:
    """Trained together, each head ends where it would alone: the sum of the losses couples nothing."""
    results = []
    for number, rates in enumerate(([1.0, 0.1], [1.0], [0.1])):
        heads = []
        for _ in rates:
            torch.manual_seed(1)
            heads.append(linear_fit.new_head(8, 2))
        fit(tmp_path / str(number), heads, rates)
        results.append([head.weight.detach().clone() for head in heads])
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[2][0])
    assert not torch.equal(results[0][0], results[0][1])


def test_a_trunk_that_moved_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In mid-run too: nothing is saved from it."""
    features = linear_fit.pooled_features

    def moving(encoder, images):
        encoder.bn1.running_mean += 1e-9
        return features(encoder, images)

    monkeypatch.setattr(linear_fit, "pooled_features", moving)
    with pytest.raises(PretrainError, match="trunk moved"):
        fit(tmp_path, [linear_fit.new_head(8, 2)], [1.0])
    assert not list(tmp_path.glob("*.pth.tar"))


def test_the_loss_is_read_only_to_print(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a device each read is a wait."""
    images, reads, reported = find_images(image_folder), [], []
    head = linear_fit.new_head(8, 2)
    stream = list(
        batches(
            Pixels(images), [Views(1, "linear", 16)], seed=0, batch_size=4, first=0, last=8,
            loading=Loading(1, colour_on_host=True),
        )
    )  # fmt: skip
    method = linear_fit.LinearHeads(Miniature(4).eval(), [head], torch.tensor(images.labels()))
    optimizer = torch.optim.SGD(head.parameters(), 1.0, momentum=0.9)
    updates, signals = Updates(optimizer, [lambda iteration: 1.0], CPU), Signals()
    signals.restore()
    for name in ("item", "tolist", "cpu", "numpy", "__float__", "__int__", "__bool__"):
        read = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda *args, name=name, read=read: reads.append(name) or read(*args)
        )
    totals = Totals(CPU, method.figures)
    watcher = Watcher(totals, lambda done, means: reported.append(done), 3, Unsaved(), signals, CPU, "")
    assert train(method, method, stream, updates, watcher, range(8), seed=0) == 8
    assert reported == [3, 6, 8]
    assert reads == ["tolist"] * 3


@pytest.fixture(scope="module")
def answers(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    arguments = [finished / "data", finished / "trunk.pth.tar", tmp_path_factory.mktemp("runs")]
    done = module("tests.pretrain.linear_driver", *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("name", "code", "saved"),
    [
        ("SIGTERM", 143, [9]),
        ("SIGINT", 130, [9]),
        ("SIGHUP", 129, [9]),
        ("SIGUSR1", 0, [9, 18]),
        ("SIGKILL", -9, [7, 8]),
    ],
)
def test_interrupted_runs_end_like_the_uninterrupted_one(
    answers: dict, name: str, code: int, saved: list[int]
) -> None:
    """Bit for bit: heads, optimizer and logged means; and the same top-1."""
    assert answers[name] == {"code": code, "saved": saved, "again": 0, "same": True}
