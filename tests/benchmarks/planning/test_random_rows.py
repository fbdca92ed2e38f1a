"""Random rows of a shape: `random:SIZE`, and a row for each shape of a grid that `random` has not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import write_job
from benchmarks.planning.cells import make_cells
from benchmarks.planning.inits import Init, introduction, open_inits
from benchmarks.planning.random_rows import one_a_shape
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.run import main
from converters.backbone import Backbone, expected_shapes, load_backbone
from converters.errors import CheckpointError
from transfer.errors import TransferError
from transfer.recipes.resnet import RESNET

DEPTH = "MODEL.RESNETS.DEPTH"


def like(path: Path, **facts: int) -> Init:
    """Gives a row of weights of another shape."""
    backbone = load_backbone(path)
    manifest = {**backbone.manifest, **facts}
    keys = ("depth", "groups", "width_per_group", "stem_out_channels", "res2_out_channels")
    shapes = expected_shapes(*(manifest[key] for key in keys))
    weights = {n: np.zeros(s, np.int64 if n.endswith("tracked") else np.float32) for n, s in shapes.items()}
    return Init("_".join(f"{value}" for value in facts.values()), Backbone(weights, manifest))


def test_a_row_of_a_size(request_of: Request) -> None:
    inits = open_inits(["random", "random:resnet18", "thin=random:resnet34,res2_out_channels=16"])
    assert [init.label for init in inits] == ["random", "random:resnet18", "thin"]
    assert list(introduction(inits[2])) == [
        "init thin: drawn anew for each seed, ResNet-34, groups 1, width 16, stem 16, res2 16"
    ]
    usual, small, thin, *_ = make_cells(load_suite("voc_c4"), inits, request_of)
    assert [cell.recipe[DEPTH] for cell in (usual, small, thin)] == [50, 18, 34]
    assert thin.recipe["MODEL.RESNETS.RES2_OUT_CHANNELS"] == 16
    assert thin.recipe["MODEL.PIXEL_MEAN"] == usual.recipe["MODEL.PIXEL_MEAN"]
    assert len({cell.identity["backbone_sha256"] for cell in (usual, small, thin)}) == 3
    job = json.loads(write_job(thin, request_of, "cpu").path.read_text())
    manifest = job["record"]["init_manifest"]
    assert (manifest["source"], manifest["depth"], job["backbone"]) == ("random", 34, None)


def test_a_resnet_50_is_random_itself(request_of: Request) -> None:
    with pytest.raises(UsageError, match="random and random:resnet50 are the same weights; leave one"):
        make_cells(load_suite("voc_c4"), open_inits(["random", "random:resnet50"]), request_of)


def test_another_family_than_the_recipes_is_refused(request_of: Request) -> None:
    with pytest.raises(
        TransferError, match="manifest of the weights states no groups|weights are those of a"
    ):
        make_cells(load_suite("voc_c4"), open_inits(["random:vit-tiny-16"]), request_of)


def test_a_size_that_is_none_says_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("random\na=random:resnet19\n")
    with pytest.raises(CheckpointError, match="list.txt:2: random:resnet19: .* did you mean resnet1"):
        open_inits([f"@{tmp_path / 'list.txt'}"])
    with pytest.raises(CheckpointError, match="'' is no network of a known size"):
        open_inits(["a=random:"])


def test_a_grid_of_several_shapes_has_a_random_row_for_each(narrow_backbone: Path) -> None:
    usual = like(narrow_backbone, depth=50, width_per_group=64, stem_out_channels=64, res2_out_channels=256)
    thin, again = replace(like(narrow_backbone), label="thin"), replace(like(narrow_backbone), label="again")
    deep = replace(like(narrow_backbone, depth=101), label="deep")
    rows, lines = one_a_shape([usual, Init("random", None), thin, again, deep], [RESNET])
    assert [row.label for row in rows][1:4] == ["random", "random@thin", "random@deep"]
    assert [row.label for row in rows if row.backbone] == [usual.label, "thin", "again", "deep"]
    assert lines[0] == "init random@thin is added: random is of another shape"
    assert rows[2].manifest(RESNET)["width_per_group"] == thin.manifest(RESNET)["width_per_group"] != 64
    assert rows[3].manifest(RESNET)["depth"] == 101


def test_a_network_of_another_function_has_a_random_row_of_its_own(narrow_backbone: Path) -> None:
    """Shortcuts that pool have no tensors of their own."""
    thin = replace(like(narrow_backbone), label="thin")
    pooled = Init("pooled", Backbone({}, thin.manifest(RESNET) | {"avg_down": True}))
    rows, _ = one_a_shape([thin, Init("random", None), pooled], [RESNET])
    assert [row.label for row in rows] == ["thin", "random", "random@thin", "random@pooled", "pooled"]
    assert rows[3].manifest(RESNET)["avg_down"] is True


def test_nothing_is_added_unless_shapes_differ_and_random_stands_for_them(narrow_backbone: Path) -> None:
    usual = like(narrow_backbone, depth=50, width_per_group=64, stem_out_channels=64, res2_out_channels=256)
    thin, random = replace(like(narrow_backbone), label="thin"), Init("random", None)
    pixels = Init(
        "bgr", Backbone({}, usual.manifest(RESNET) | {"input_format": "BGR", "stride_in_1x1": True})
    )
    for inits in (
        [random],
        [usual, thin],
        [random, thin],  # the row that it always was
        [random, usual, pixels],  # one shape; the pixels are the weights' own
        [random, usual, thin, Init("random@thin", None, like=thin)],
        [random, usual, Init("supervised", None, absent="supervised")],
    ):
        assert one_a_shape(inits, [RESNET]) == (inits, [])


def test_random_rows_of_any_shape_have_the_recipe_of_random() -> None:
    suite = replace(load_suite("lvis"), variants={"random": "lvis_frozen_bn", "random@b": "lvis"})
    assert {suite.recipe_of(label) for label in ("random", "random@a", "random:resnet18")} == {
        "lvis_frozen_bn"
    }
    assert {suite.recipe_of(label) for label in ("moco", "randomly", "random@b")} == {"lvis"}
    assert load_suite("lvis").variant_of("random@a") == ""


def test_the_command_line_adds_them(
    narrow_backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from converters.backbone import save_backbone

    deep = like(narrow_backbone, depth=101)
    assert deep.backbone is not None
    save_backbone(deep.backbone, tmp_path / "deep.pkl")
    options = ["--suite", "voc_c4", "--engine", "torchvision", "--dry-run", "--init", "random"]
    assert main([*options, f"thin={narrow_backbone}", f"deep={tmp_path / 'deep.pkl'}"]) == 0
    said = capsys.readouterr()
    assert "init random@thin is added" in said.err
    assert "init random@deep: drawn anew for each seed, in shape and pixels like deep" in said.err
    assert "voc_c4, random@deep, seed 0" in said.out
