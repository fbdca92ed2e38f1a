"""`--start-from`: the weights of a file, under a fresh optimizer, queue and schedule; in the identity."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pretrain import cli, knn
from pretrain.methods.moco import MoCo
from pretrain.networks.encoders import make_encoder_factory
from pretrain.training.start import put_in_place, read_start
from tests.pretrain.tiny import register_miniature, tiny_resnet

OPTIONS = (
    "--batch-size 8 --moco-k 32 --image-size 32 --device cpu --precision fp32 -p 2 --arch resnet_miniature"
)
LAST = "checkpoint_last.pth.tar"
QUERY = "module.encoder_q."


def train(data: Path, output: Path, *more: str) -> int:
    register_miniature()
    return cli.main(["--data", str(data), "--output", str(output), *OPTIONS.split(), *more])


def read(output: Path) -> dict:
    return torch.load(output / LAST, weights_only=True)


@pytest.fixture(scope="module")
def made(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run of six iterations."""
    output = tmp_path_factory.mktemp("made")
    assert train(image_folder, output, "--mlp", "--max-iters", "6") == 0
    return output / LAST


def slim(made: Path, path: Path, head: bool = True) -> Path:
    """A file with the query encoder alone; safetensors or torch's, as the name says."""
    contents = torch.load(made, weights_only=True)
    kept = {
        name: value
        for name, value in contents["state_dict"].items()
        if name.startswith(QUERY) and (head or ".fc." not in name)
    }
    if path.suffix == ".safetensors":
        save_file(kept, path, {"arch": contents["arch"]})
    else:
        torch.save({"arch": contents["arch"], "state_dict": kept}, path)
    return path


def at_rest(data: Path, output: Path, file: Path, *more: str) -> dict:
    """The checkpoint after one iteration at a rate of 0, which moves no weight."""
    assert (
        train(data, output, "--max-iters", "1", "--lr", "0", "--seed", "1", "--start-from", str(file), *more)
        == 0
    )
    return read(output)


@pytest.mark.parametrize("form", ["whole", "slim.pth.tar", "slim.safetensors", "headless.safetensors"])
def test_the_encoders_are_the_files_and_all_else_is_fresh(
    form: str, made: Path, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = made if form == "whole" else slim(made, tmp_path / form, head="headless" not in form)
    contents = torch.load(made, weights_only=True)
    found = at_rest(image_folder, tmp_path / "out", file, "--mlp")
    said = capsys.readouterr().out
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    head = "with a fresh head" if "headless" in form else "its head included"
    assert f"starting from {file} (sha256 {sha256[:12]}), {head}\n" in said
    assert found["identity"]["start_from"] == sha256
    assert (found["iteration"], contents["iteration"]) == (1, 6)
    old, new = contents["state_dict"], found["state_dict"]
    keys = (
        "encoder_k." if form == "whole" else "encoder_q."
    )  # a slim file has no key encoder: it is the query's
    for name in new:
        if "queue" in name or "running" in name or "num_batches" in name:
            continue
        source = old[name.replace("encoder_k.", keys)]
        same = torch.equal(new[name], source)
        if "encoder_k" in name:  # its momentum update adds a thousandth of a difference to the query encoder
            same = torch.allclose(new[name], source, atol=1e-3)
        assert same == (not (".fc." in name and "headless" in form)), name
    assert new["module.queue_ptr"].item() == 8
    assert not torch.equal(new["module.queue"], old["module.queue"])
    first, seventh = (x["optimizer"]["state"][0]["momentum_buffer"] for x in (found, contents))
    assert not torch.equal(first, seventh)


def test_statistics_of_norms_travel_too(made: Path) -> None:
    contents = torch.load(made, weights_only=True)["state_dict"]
    register_miniature()
    model = MoCo(make_encoder_factory("resnet_miniature", dim=128), 128, 32, mlp=True)
    put_in_place(read_start(made), model)
    for name, value in model.state_dict().items():
        if "queue" not in name:
            assert torch.equal(value, contents[f"module.{name}"]), name


def test_half_precision_is_read_into_full(made: Path, image_folder: Path, tmp_path: Path) -> None:
    contents = torch.load(slim(made, tmp_path / "x.pth.tar"), weights_only=True)["state_dict"]
    halves = {n: v.half() if v.is_floating_point() else v for n, v in contents.items()}
    save_file(halves, tmp_path / "half.safetensors", {"arch": "resnet_miniature"})
    found = at_rest(image_folder, tmp_path / "out", tmp_path / "half.safetensors", "--mlp")["state_dict"]
    name = f"{QUERY}layer4.0.weight"
    assert found[name].dtype == torch.float32
    assert torch.equal(found[name], contents[name].half().float())


def test_another_method_takes_the_trunk(
    made: Path, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From MoCo to supervised training and back; the head of the one does not fit, which is said."""
    found = at_rest(image_folder, tmp_path / "a", made, "--mechanism", "supervised")["state_dict"]
    old = torch.load(made, weights_only=True)["state_dict"]
    assert torch.equal(found["module.supervised.layer4.0.weight"], old[f"{QUERY}layer4.0.weight"])
    assert "with a fresh head, for its own is of another shape" in capsys.readouterr().out
    back = at_rest(image_folder, tmp_path / "b", tmp_path / "a" / LAST)["state_dict"]
    assert torch.equal(back[f"{QUERY}layer4.0.weight"], old[f"{QUERY}layer4.0.weight"])


def test_it_resumes_to_the_bit_and_only_from_the_same_file(
    made: Path, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ["--mlp", "--start-from", str(made)]
    for name, length in (("a", "6"), ("b", "3"), ("b", "6")):
        assert train(image_folder, tmp_path / name, *start, "--max-iters", length) == 0
    assert "going on from iteration 3" in capsys.readouterr().out
    a, b = read(tmp_path / "a")["state_dict"], read(tmp_path / "b")["state_dict"]
    assert all(torch.equal(a[name], b[name]) for name in a)
    other = slim(made, tmp_path / "slim.pth.tar")
    for words, now in ((["--mlp"], "None"), (["--mlp", "--start-from", str(other)], "[0-9a-f]{64}")):
        assert train(image_folder, tmp_path / "b", *words, "--max-iters", "9") == 2
        error = capsys.readouterr().err
        assert "was made with start_from = " in error
        assert f", now {now}" in error or len(now) > 4
    assert (
        "start_from" not in torch.load(made, weights_only=True)["identity"]
    )  # files of other runs are as they were


def broken(kind: str, made: Path, folder: Path) -> Path:
    path = folder / f"{kind}.pth.tar"
    if kind == "absent":
        return path
    contents = torch.load(slim(made, path), weights_only=True)
    state = contents["state_dict"]
    if kind == "other width":
        state[f"{QUERY}layer4.0.weight"] = torch.zeros(8, 4, 3, 3)
    if kind == "short":
        del state[f"{QUERY}layer4.0.weight"]
    if kind == "not finite":
        state[f"{QUERY}layer4.0.weight"][0, 0, 0, 0] = float("nan")
    if kind == "no encoder":
        contents["state_dict"] = {"conv1.weight": torch.zeros(1)}
    if kind == "keys alone":
        contents["state_dict"] = {name.replace("_q.", "_k."): value for name, value in state.items()}
    torch.save(contents, path)
    if kind == "junk":
        path = path.with_name("junk.safetensors")
        path.write_bytes(b"no header")
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("absent", "no such checkpoint file"),
        ("other width", "layer4.0.weight is (8, 4, 3, 3), expected (8, 8, 3, 3)"),
        ("short", "1 tensors missing (layer4.0.weight, ...)"),
        ("not finite", "encoder_q.layer4.0.weight holds values that are not finite"),
        ("no encoder", "holds no encoder; expected tensors named encoder_q.*, supervised.*"),
        ("keys alone", "holds no encoder"),
        ("junk", "junk.safetensors: not a checkpoint that can be read safely"),
    ],
)
def test_what_does_not_fit_is_one_line(
    kind: str, says: str, made: Path, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = broken(kind, made, tmp_path)
    assert train(image_folder, tmp_path / "out", "--mlp", "--max-iters", "2", "--start-from", str(file)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert says in error
    assert not list(tmp_path.glob("out/*"))


def test_it_is_not_given_beside_resume(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", "d", "--output", "o", "--resume", "a", "--start-from", "b"]
    with pytest.raises(SystemExit):
        cli.build_parser().parse_args(words)
    assert "--start-from: not allowed with argument --resume" in capsys.readouterr().err


def test_knn_takes_a_slim_file(image_folder: Path, tmp_path: Path) -> None:
    """Weights alone are measured as any checkpoint."""
    words = [*OPTIONS.split()[:-1], "resnet18w0.25x", "--max-iters", "1"]
    assert cli.main(["--data", str(image_folder), "--output", str(tmp_path), *words]) == 0
    made = tmp_path / LAST
    (tmp_path / "data").mkdir()
    for part in ("train", "val"):
        (tmp_path / "data" / part).symlink_to(image_folder)
    results = []
    for file in (made, slim(made, tmp_path / "x.safetensors")):
        words = ["--data", str(tmp_path / "data"), "--pretrained", str(file), "--image-size", "32"]
        assert knn.main([*words, "--device", "cpu", "--output", str(tmp_path / "knn.json")]) == 0
        results.append((tmp_path / "knn.json").read_text().split("pretrained")[0])
    assert results[0] == results[1]


def test_a_network_that_the_file_does_not_fit_stays_as_it_was(made: Path) -> None:
    model = MoCo(lambda: tiny_resnet(16), 16, 32)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="checkpoint of another model"):
        put_in_place(read_start(made), model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
