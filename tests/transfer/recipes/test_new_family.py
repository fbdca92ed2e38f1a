"""A family of backbones is its own files and a row in each table: recipes, plans and the engine know it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.additions import edit, edited_copy, run_in
from tests.conftest import ROOT
from tests.converters.networks.toy_family import TOY, shapes
from tests.converters.safetensors_bytes import write
from transfer.recipes.identity import recipe_sha256
from transfer.recipes.resolve import RECIPES, load_recipe

OURS = sorted(path.stem for path in RECIPES.glob("*.yaml") if path.stem != "defaults")
FILES = {
    "converters/networks/toy.py": (ROOT / "tests/converters/networks/toy_family.py").read_text("utf-8"),
    "transfer/recipes/toy.py": """
from transfer.recipes.family import Family
from transfer.recipes.norms import NORMS
from transfer.recipes.rules import COUNT, whole

TOY = Family(
    name="Toy",
    stages=("patch", "body"),
    facts={"layers": "MODEL.TOY.LAYERS", "width": "MODEL.TOY.WIDTH", "padded": "MODEL.TOY.PADDED"},
    random={"layers": 3, "width": 8, "padded": True},
    section="MODEL.TOY",
    numbers={"LAYERS": whole(1, 9), "WIDTH": COUNT, "DILATION": whole(1, 2)},
    choices={"MODEL.TOY.NORM": NORMS},
    outputs="MODEL.TOY.OUT_FEATURES",
    dilation="MODEL.TOY.DILATION",
    norm="MODEL.TOY.NORM",
)
""",
    "transfer/engines/torchvision/backbones/toy.py": """
from torch import nn

class Toy(nn.Module):
    size_divisibility = 1

    def __init__(self, layers, width, padding, dilation):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        conv = dict(padding=dilation, dilation=dilation, padding_mode=padding)
        self.body = nn.Sequential(*(nn.Conv2d(width, width, 3, **conv) for _ in range(layers)))
        self.strides, self.channels = {"body": 4}, {"body": width}

    def forward(self, x):
        return {"body": self.body(self.patch(x))}

def build(cfg):
    toy = cfg.MODEL.TOY
    return Toy(toy.LAYERS, toy.WIDTH, "zeros" if toy.PADDED else "replicate", toy.DILATION)
""",
    "transfer/recipes/toy_dc5.yaml": """
_BASE_: voc_dc5
MODEL:
  BACKBONE: {NAME: build_toy_c5_conv_backbone}
  TOY: {OUT_FEATURES: [body], DILATION: 2, NORM: BN}
  C5_CONV: {OUT_CHANNELS: 16}
  ROI_BOX_HEAD: {FC_DIM: 32}
""",
    "benchmarks/suites/toy_dc5.yaml": """
name: toy_dc5
version: 1
recipe: toy_dc5
reference: a network that nobody trains
primary: bbox/AP
metrics: [bbox/AP]
trials: 1
""",
}
EDITS = {
    "converters/networks/table.py": (
        "\n\nFAMILIES: tuple[Family, ...] = (RESNET, ",
        "\nfrom converters.networks.toy import TOY\n\nFAMILIES: tuple[Family, ...] = (RESNET, TOY, ",
    ),
    "transfer/recipes/architectures.py": (
        "FAMILIES = (RESNET, ",
        "from transfer.recipes.toy import TOY\n\nFAMILIES = (TOY, RESNET, ",
    ),
    "transfer/recipes/defaults.yaml": (
        "  C5_CONV: {",
        "  TOY: {LAYERS: 1, WIDTH: 1, PADDED: false, OUT_FEATURES: [], DILATION: 1, NORM: BN}\n  C5_CONV: {",
    ),
    "transfer/engines/torchvision/backbones/build.py": (
        "FAMILIES: dict[str, Any] = {\n",
        "from transfer.engines.torchvision.backbones import toy\n\n"
        'FAMILIES: dict[str, Any] = {\n    "Toy": toy,\n',
    ),
}
ROW = """
from dataclasses import replace
_DC5 = ARCHITECTURES["DC5"]
_DEMANDS = {key: values for key, values in _DC5.demands.items() if not key.startswith(RESNET.section)}
ARCHITECTURES["ToyDC5"] = replace(
    _DC5, name="ToyDC5", title="dilated Toy", family=TOY,
    named=_DC5.named | {"MODEL.BACKBONE.NAME": ("build_toy_c5_conv_backbone",)},
    demands=_DEMANDS | {TOY.outputs: (["body"],), TOY.dilation: (2,)},
    norms=(TOY.norm,), added=(*_DC5.added, f"{TOY.section}."),
)
"""
TRY = """
import json
from dataclasses import replace
from pathlib import Path
import numpy as np, torch
from benchmarks.planning.cells import make_cells
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suites
from benchmarks.run import main
from converters.backbone import facts_of_weights
from converters.convert import open_checkpoint
from converters.networks.table import family_of
from transfer.engines.choose import load_engine
from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import RANDOM_MANIFEST, manifest_keys, random_manifest
from transfer.recipes.identity import recipe_sha256
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.samples.sample import Sample
from transfer.training.load_backbone import load_backbone_into

FILE, DEVKIT = {file!r}, Path({devkit!r})
told = {{}}
def refused(what, *given):
    try:
        what(*given)
    except TransferError as error:
        return str(error)

recipe = load_recipe("toy_dc5")
row = architecture_of(flatten(recipe))
told["row"], told["keys"], told["random"] = row.name, manifest_keys(row.family), random_manifest(row.family)
told["filled"] = flatten(apply_manifest(recipe, random_manifest(row.family)))
told["ours"] = {{name: recipe_sha256(load_recipe(name)) for name in {ours!r}}}

def cell(suite, *overrides):
    request = Request(1, 0, "torchvision", False, False, DEVKIT, 8, list(overrides), DEVKIT / "out")
    return make_cells(load_suites([suite])[0], [Init("random", None)], request)[0]
sizes = [("MODEL.TOY.WIDTH", width) for width in ("8", "6")]
told["cells"] = [cell("toy_dc5", *own).identity for own in ([], *([size] for size in sizes))]
told["others"] = [key for key in cell("voc_dc5").recipe if "TOY" in key]

backbone, engine = open_checkpoint(FILE), load_engine("torchvision")
told["notes"] = backbone.manifest["notes"]
told["facts"] = [fact.key for fact in facts_of_weights(family_of(backbone.manifest))]
cfg = apply_manifest(recipe, backbone.manifest)
torch.manual_seed(0)
model = engine.build(cfg, torch.device("cpu"))
state = engine.state(model)
partial = replace(backbone, weights={{n: a for n, a in backbone.weights.items() if n != "body.1.bias"}})
told["partial"] = refused(load_backbone_into, state, partial, cfg, "toy")
report = load_backbone_into(state, backbone, cfg, "toy")
told["set"] = [report.set, report.total, len(backbone.weights)]
told["equal"] = all(np.array_equal(state[row.placed(n)].numpy(), a) for n, a in backbone.weights.items())
told["fresh"] = sorted({{row.part(name) for name in report.fresh}})
engine.load_state(model, engine.state(model))  # strict
told["other"] = [
    refused(apply_manifest, load_recipe("voc_dc5"), backbone.manifest),
    refused(apply_manifest, recipe, RANDOM_MANIFEST),
]
image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
boxes, classes = torch.tensor([[8.0, 8, 40, 48]]), torch.tensor([3])
losses = engine.losses(model.train(), [Sample(image, boxes, classes, "a", 64, 64)])
sum(losses.values()).backward()
told["losses"] = {{name: float(loss.detach()) for name, loss in losses.items()}}
gradients = [p.grad for name, p in model.named_parameters() if row.part(name) == "backbone"]
told["moved"] = [bool(gradient.abs().sum() > 0) for gradient in gradients]
print(json.dumps(told))
common = ["--engine", "torchvision", "--num-gpus", "8", "--dry-run", "--data-root", str(DEVKIT)]
assert main(["--suite", "toy_dc5", "--init", "random", f"mine={{FILE}}", *common]) == 0
"""


@dataclass(frozen=True)
class Tried:
    told: dict[str, Any]
    plan: str


@pytest.fixture(scope="module")
def tried(devkit: Path, tmp_path_factory: pytest.TempPathFactory) -> Tried:
    """A copy of the tree with the family, asked for all that the tests want to know."""
    copy = edited_copy(tmp_path_factory.mktemp("copy"), EDITS)
    edit(copy, {"transfer/recipes/architectures.py": ("_NAMING = (", f"{ROW}_NAMING = (")})
    for name, text in FILES.items():
        assert not (copy / name).exists()
        (copy / name).write_text(text, encoding="utf-8")
    rng, theirs = np.random.default_rng(0), {ours: foreign for foreign, ours in TOY.exported().items()}
    found = {n: rng.standard_normal(s).astype("f4") / 9 for n, s in shapes({"layers": 2, "width": 5}).items()}
    file = write(copy / "mine.safetensors", {f"net.{theirs[name]}": array for name, array in found.items()})
    given = {"file": str(file), "devkit": str(devkit), "ours": OURS}
    first, _, plan = run_in(copy, TRY.format(**given)).partition("\n")
    return Tried(json.loads(first), plan)


def test_its_recipe_has_the_facts_of_its_weights(tried: Tried) -> None:
    told = tried.told
    assert told["row"] == "ToyDC5"
    assert list(told["keys"]) == told["facts"], "transfer and converters agree"
    assert {"layers", "width", "padded"} < told["keys"].keys()
    assert told["random"].keys() == {"source", "family", *told["keys"]}
    assert {f: told["filled"][key] for f, key in told["keys"].items()} == {
        field: value for field, value in told["random"].items() if field not in ("source", "family")
    }


def test_a_random_row_is_identified_by_the_facts_of_the_family(tried: Tried) -> None:
    usual, same, narrower = tried.told["cells"]
    assert usual == same
    assert {key for key in usual if usual[key] != narrower[key]} == {"backbone_sha256"}


def test_the_recipes_of_other_families_stay_what_they_are(tried: Tried) -> None:
    """Neither their identities nor their records know of it."""
    assert tried.told["ours"] == {name: recipe_sha256(load_recipe(name)) for name in OURS}
    assert tried.told["others"] == []


def test_a_backbone_of_it_is_loaded_whole_or_refused(tried: Tried) -> None:
    told = tried.told
    assert told["set"] == [6, 6, 6]
    assert told["equal"]
    assert told["notes"] == ["publisher unknown: ImageNet's RGB pixels and torchvision's strides are assumed"]
    assert told["fresh"] == ["C5 conv", "RPN", "box head"]
    assert told["partial"] == (
        "init toy does not fit the model (5 of 6 backbone tensors): missing backbone.bottom_up.body.1.bias; "
        "convert the checkpoint again, or fix its depth and width"
    )


def test_weights_and_recipes_of_two_families_are_not_put_together(tried: Tried) -> None:
    toy_on_ours, ours_on_toy = tried.told["other"]
    assert toy_on_ours == (
        "the weights are those of a Toy, the recipe is for a ResNet; a Toy goes into toy_dc5"
    )
    assert ours_on_toy.startswith(
        "the weights are those of a ResNet, the recipe is for a Toy; a ResNet goes into ade20k_linear, "
    )


def test_the_engine_trains_it(tried: Tried) -> None:
    losses = tried.told["losses"]
    assert losses.keys() == {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"}
    assert np.isfinite(list(losses.values())).all()
    assert tried.told["moved"] == [True] * 6, "every tensor of the backbone has a gradient"


def test_a_suite_on_it_is_planned(tried: Tried) -> None:
    assert "toy_dc5, mine, seed 0: new, would run\n" in tried.plan
    assert "for mine: parameters 0.03M, trainable 0.03M: backbone 0.00M, C5 conv 0.00M, RPN " in tried.plan
    assert "plan: 2 cells: 2 new\n" in tried.plan
    assert "  MODEL.TOY.WIDTH: 8\n" in tried.plan
    assert "as for random but for:\n  MODEL.TOY.LAYERS: 2\n  MODEL.TOY.WIDTH: 5\n" in tried.plan
    assert "MODEL.RESNETS" not in tried.plan
