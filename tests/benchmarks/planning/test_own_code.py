"""Own code as an init: named, planned, told and refused; nothing of it runs in the plan's process."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import write_job
from benchmarks.planning import own_code
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.init_names import read_inits
from benchmarks.planning.inits import Init, introduction, open_inits
from benchmarks.planning.own_weights import own_weights, read_weights
from benchmarks.planning.random_rows import one_a_shape
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.run import main
from converters.errors import CheckpointError
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials
from tests.transfer.engines.user_modules import MINE, PLAIN, write
from transfer.datasets.synthetic.make import make_synthetic
from transfer.engines.own import call, load
from transfer.recipes.vit import VIT


class _Here:
    """A context of multiprocessing whose processes are this one."""

    def Process(self, target: Any, args: Any) -> Any:
        ended = {"join": lambda _: None, "is_alive": lambda: False, "exitcode": 0}
        return SimpleNamespace(start=lambda: target(*args), **ended)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_code, "get_context", lambda _: _Here())


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Of the page's example, as a run of several processes saves it."""
    file = write(tmp_path)
    state = {f"module.{name}": tensor for name, tensor in call(load(file, "Mine"), file).state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "epoch=3.ckpt")
    return tmp_path / "epoch=3.ckpt"


def _plan(root: Path, suite: str, *inits: Init) -> list[Cell]:
    make_synthetic(["ade20k_sem_seg_train"], root, train_images=2, test_images=1, image_size=32)
    return make_cells(load_suite(suite), inits, Request(1, 0, "torchvision", True, True, root, 1, [], root))


def test_labels_and_lists(tmp_path: Path) -> None:
    one, other = read_inits(["own:mine.py:Mine", "b=own:a=b/net.py:build:epoch=3.ckpt"])
    assert (one.label, one.path) == ("mine", "own:mine.py:Mine")
    assert (other.label, other.path) == ("b", "own:a=b/net.py:build:epoch=3.ckpt")
    (tmp_path / "list.txt").write_text("own:mine.py:Mine:w.pth\nc=own:/there/net.py:build\n")
    one, other = read_inits([f"@{tmp_path / 'list.txt'}"])
    assert one.path == f"own:{tmp_path}/mine.py:Mine:{tmp_path}/w.pth"
    assert (other.label, other.path) == ("c", "own:/there/net.py:build")


@pytest.mark.parametrize(
    "text", ["own:mine.py", "own:mine:build", "own:mine.py:", "own::build", "a=own:x.py:1"]
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected own:FILE.py:CALLABLE"):
        open_inits([text])


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.py: no such file"):
        open_inits(["own:nowhere.py:build"])
    with pytest.raises(UsageError, match=r"w\.pth: no such file"):
        open_inits([f"own:{write(tmp_path)}:Mine:w.pth"])


def test_rows_of_own_code_stand_in_the_suites_table(here: None, weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    inits = open_inits(["random", f"own:{file}:Mine:{weights}", "fresh=random@mine", f"bare=own:{file}:Mine"])
    usual, mine, fresh, bare = cells = _plan(tmp_path, "ade20k_linear", *inits)
    assert len({cell.identity["recipe_sha256"] for cell in cells}) == 1
    assert len({cell.id for cell in cells}) == 4
    assert mine.recipe["MODEL.OWN.CODE"] == "mine.py:Mine"
    assert (usual.recipe["MODEL.VIT.PATCH_SIZE"], "MODEL.OWN.CODE" in usual.recipe) == (16, False)
    assert {key.split(".")[1] for key in mine.recipe if key.startswith(("MODEL.VIT", "MODEL.OWN"))} == {"OWN"}
    told = "\n".join(introduction(mine.init))
    assert (
        "own code mine.py:Mine, unproven, 0.01M parameters, RGB, maps stage0 (16 channels, stride 4)" in told
    )
    assert "pixels are not stated: ImageNet's are taken" in told
    assert "drawn anew for each seed" in "\n".join(introduction(bare.init))

    asked = Request(1, 0, "torchvision", True, True, tmp_path, 1, [], tmp_path / "out")
    jobs = [json.loads(write_job(cell, asked, "cpu").path.read_text()) for cell in cells]
    places = [job.get("code") for job in jobs]
    assert places[0] is None
    assert places[1] == {"file": str(file), "weights": str(weights)}
    assert places[2] == places[3] == {"file": str(file), "weights": ""}
    manifest = jobs[1]["record"]["init_manifest"]
    assert (manifest["standing"], manifest["weights_sha256"][:4]) == ("unproven", _sha(weights)[:4])
    assert str(tmp_path) not in json.dumps(jobs[1]["record"]["recipe"]), "records are passed on"
    assert jobs[2]["record"]["init_manifest"]["source"] == "random"

    rows = group_trials([job["record"] | {"status": "missing"} for job in jobs])["ade20k_linear"]
    table = build_suite_table(rows, "ade20k_linear", ["sem_seg/mIoU"])
    (note,) = [note for note in table.notes.values() if "unproven" in note]
    assert note.startswith("backbone unproven: own code (mine.py:Mine, SHA-256 ")
    marked = [row.label for row in table.rows if any("unproven" in table.notes[mark] for mark in row.marks)]
    assert marked == ["bare", "fresh", "mine"]


def _sha(path: Path) -> str:
    return own_code.file_sha256(path)


def test_changed_code_and_changed_weights_are_other_cells(here: None, weights: Path, tmp_path: Path) -> None:
    file = write(tmp_path, MINE + "\n", "other.py")
    (tmp_path / "sub").mkdir()
    again = write(tmp_path / "sub", MINE, "mine.py")
    names = [f"a=own:{tmp_path / 'mine.py'}:Mine", f"b=own:{file}:Mine", f"c=own:{again}:Mine"]
    inits = open_inits([*names, f"d=own:{again}:Mine:{weights}"])
    hashes = [init.identity(_recipe(init, tmp_path)) for init in inits]
    assert hashes[0] == hashes[2], "the folder is none of it"
    assert len(set(hashes)) == 3
    (tmp_path / "sub" / "mine.py").write_text(MINE.replace(".relu()", ".tanh()"))
    (changed,) = open_inits([f"c=own:{again}:Mine"])
    assert changed.identity(_recipe(changed, tmp_path)) != hashes[2]


def _recipe(init: Init, root: Path) -> dict[str, Any]:
    (cell,) = _plan(root, "ade20k_linear", init)
    return cell.recipe


def test_what_it_imports_from_its_folder_is_part_of_it(here: None, tmp_path: Path) -> None:
    write(tmp_path, PLAIN, "its_plain_part.py")
    (init,) = open_inits([f"own:{write(tmp_path, 'from its_plain_part import Plain')}:Plain"])
    assert init.code is not None
    names = [line.split("  ")[1] for line in init.code.manifest["sources"]]
    assert names == ["mine.py", "its_plain_part.py"]


def test_random_beside_it_is_the_same_module(here: None, tmp_path: Path) -> None:
    inits = open_inits(["random", f"own:{write(tmp_path)}:Mine"])
    rows, lines = one_a_shape(inits, [VIT])
    assert [row.label for row in rows] == ["random", "random@mine", "mine"]
    assert lines == ["init random@mine is added: random is of another shape"]
    assert one_a_shape(rows, [VIT]) == (rows, [])


def test_a_callable_that_loads_its_weights_is_no_random_row(here: None, tmp_path: Path) -> None:
    text = MINE + "\n\ndef loaded():\n    import torch\n    torch.manual_seed(7)\n    return Mine()\n"
    named = f"own:{write(tmp_path, text)}:loaded"
    (init,) = open_inits([named])
    assert "its callable loads weights by itself: 28 of 28 tensors have no seed" in [*introduction(init)][2]
    with pytest.raises(UsageError, match="random@mine: mine.py:loaded gives mostly the same numbers"):
        open_inits([named, "random@mine"])
    rows, lines = one_a_shape(open_inits([named, "random"]), [VIT])
    assert [row.label for row in rows] == ["mine", "random"]
    assert lines == ["init mine: its callable loads its weights by itself, so no random row stands beside it"]


def test_two_weights_of_a_module_have_one_random_row(here: None, tmp_path: Path) -> None:
    file = write(tmp_path)
    for name, factor in (("a", 1.0), ("b", 2.0)):
        state = call(load(file, "Mine"), file).state_dict()
        torch.save({key: factor * tensor for key, tensor in state.items()}, tmp_path / f"{name}.pth")
    named = [f"{name}=own:{file}:Mine:{tmp_path / name}.pth" for name in ("a", "b")]
    rows, _ = one_a_shape(open_inits([*named, "random"]), [VIT])
    assert [row.label for row in rows] == ["a", "b", "random", "random@a"]


def test_whatever_the_trial_raises_is_one_line(here: None, tmp_path: Path) -> None:
    text = MINE + "\n\nclass Lazy(Mine):\n    def train(self, mode):\n        return super().train(mode)\n"
    with pytest.raises(UsageError, match=r"mine.py: the trial failed: TypeError|mine.py:\d+: .*TypeError"):
        open_inits([f"own:{write(tmp_path, text)}:Lazy"])


def test_two_networks_in_a_file_are_not_chosen_between(tmp_path: Path) -> None:
    state = torch.nn.Linear(2, 2).state_dict()
    torch.save({"state_dict": state, "state_dict_ema": state}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="holds 2 tables of 2 tensors, as of a network and its average"):
        read_weights(tmp_path / "w.pth")


def test_weights_are_read_without_their_code_and_only_while_they_are_the_same(
    weights: Path, tmp_path: Path
) -> None:
    found = read_weights(weights)
    assert len(found) == 28
    assert found["stages.0.0.weight"].shape == (16, 3, 4, 4)
    backbone = own_weights(str(weights), {"weights_sha256": _sha(weights)})
    assert backbone is not None
    assert backbone.weights.keys() == found.keys()
    assert own_weights("", {}) is None
    with pytest.raises(CheckpointError, match="changed or went since the cells were planned"):
        own_weights(str(weights), {"weights_sha256": "0" * 64})
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="holds no table of tensors; save"):
        read_weights(tmp_path / "list.pth")


def test_a_suite_that_cannot_take_it_is_named(here: None, tmp_path: Path, request_of: Request) -> None:
    inits = open_inits([f"own:{write(tmp_path, PLAIN)}:Plain"])
    with pytest.raises(ValueError, match="a UserModule goes into .*coco_fpn_1x.*voc_linear"):
        make_cells(load_suite("voc_c4"), inits, replace(request_of, engine="torchvision"))


def test_what_is_wrong_is_one_line_from_a_process_of_its_own(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends the command, before a cell or a folder is made; a crash of the process, too."""
    file = write(tmp_path, "import os\nprint('hello')\nos._exit(7)\n")
    words = ["--suite", "voc_linear", "--init", f"own:{file}:build", "--engine", "torchvision"]
    assert main([*words, "--output", str(tmp_path / "out")]) == 2
    said = capfd.readouterr()
    assert said.out == ""
    assert (
        said.err.splitlines()[-1] == f"error: --init own:{file}:build: its trial ended with code 7, see above"
    )
    assert not (tmp_path / "out").exists()
