"""A family of backbones is one row: with it a file is found, accounted for, proven, written and read."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import converters
from converters.backbone import (
    Backbone,
    facts_of_weights,
    load_backbone,
    manifest_types,
    save_backbone,
)
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.networks import table
from converters.output.docs_page import page
from converters.output.export import FLIPPED, export
from converters.output.inspect import inspect, summary
from converters.output.placing import SUFFIXES
from tests.converters.checkpoint_nets import Weights
from tests.converters.foreign_names import prefixed
from tests.converters.networks.toy_family import TOY, shapes
from tests.converters.safetensors_bytes import write

OURS_TO_THEIRS = {ours: foreign for foreign, ours in TOY.exported().items()}


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Weights:
    """The weights of a Toy-2 by our names, where the family is known."""
    monkeypatch.setattr(table, "FAMILIES", (*table.FAMILIES, TOY))
    rng = np.random.default_rng(0)
    return {n: rng.standard_normal(s).astype("f4") for n, s in shapes({"layers": 2, "width": 5}).items()}


def raw(weights: Weights, path: Path, prefix: str = "module.net.") -> Path:
    """A checkpoint of it, by the names of its publisher."""
    return write(path, {prefix + OURS_TO_THEIRS[name]: array for name, array in weights.items()})


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as told:
        open_checkpoint(path)
    return str(told.value)


def test_a_file_of_it_is_found_and_its_facts_are_read_off_the_shapes(toy: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(raw(toy, tmp_path / "a.safetensors"))
    facts = backbone.manifest
    assert (facts["family"], facts["layers"], facts["width"], facts["padded"]) == ("toy", 2, 5, True)
    assert (facts["source"], facts["dialect"], facts["num_tensors"]) == ("unknown", "toy", 6)
    assert not {"depth", "groups", "stride_in_1x1"} & set(facts)
    assert backbone.weights.keys() == toy.keys()
    assert all(np.array_equal(backbone.weights[name], array) for name, array in toy.items())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_form_of_its_file_reads_back_equal(suffix: str, toy: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(raw(toy, tmp_path / "a.safetensors"))
    export(backbone, tmp_path / f"out{suffix}", SUFFIXES[suffix])
    for again in (load_backbone(tmp_path / f"out{suffix}"), open_checkpoint(tmp_path / f"out{suffix}")):
        assert again.manifest == backbone.manifest
        assert again.content_sha256() == backbone.content_sha256()
    if SUFFIXES[suffix] == "torchvision":
        assert set(torch.load(tmp_path / f"out{suffix}")) == {OURS_TO_THEIRS[name] for name in toy}


def test_for_other_programs_its_colours_are_flipped(toy: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(raw(toy, tmp_path / "a.safetensors"), input_format="BGR")
    flipped = export(backbone, tmp_path / "out.safetensors", "safetensors")
    assert np.array_equal(flipped.weights["patch.weight"], toy["patch.weight"][:, ::-1])
    assert (flipped.manifest["input_format"], flipped.manifest["notes"][-1]) == ("RGB", FLIPPED)


def test_what_is_missing_or_beside_it_is_accounted_for(toy: Weights, tmp_path: Path) -> None:
    incomplete = {name: array for name, array in toy.items() if name != "body.0.bias"}
    assert refused(raw(incomplete, tmp_path / "a.safetensors")).endswith(
        "no complete Toy: 5 of 6 tensors of a Toy-2 fit; 1 missing: body.0.bias"
    )
    wide = toy | {"patch.weight": np.ones((5, 3, 16, 16), "f4")}
    assert "a Toy with patches of 16 pixels; this one has 4 (" in refused(
        raw(wide, tmp_path / "b.safetensors")
    )


def test_its_own_health_is_looked_at(toy: Weights, tmp_path: Path) -> None:
    still = toy | {"patch.weight": np.full((5, 3, 4, 4), 0.5, "f4")}
    notes = open_checkpoint(raw(still, tmp_path / "a.safetensors")).manifest["notes"]
    assert "warning: the patches are flat" in notes
    theirs = {OURS_TO_THEIRS[name]: array for name, array in toy.items()}
    copies = prefixed(theirs, "student.") | prefixed(theirs, "teacher.")
    copies["teacher.embed.proj.bias"] = copies["teacher.embed.proj.bias"] + 1  # the patch alone is compared
    notes = open_checkpoint(write(tmp_path / "b.safetensors", copies), encoder="ema").manifest["notes"]
    assert any("both encoders hold the same values" in note for note in notes)


def test_reports_name_it(toy: Weights, tmp_path: Path) -> None:
    path = raw(toy, tmp_path / "a.safetensors")
    text, convertible = inspect(path, None, None, {})
    assert convertible
    assert "net. [toy] complete: Toy-2, width 5" in text
    assert "padded:          yes" in text
    backbone = open_checkpoint(path)
    save_backbone(backbone, tmp_path / "b.pkl")
    assert "all 6 tensors of a Toy-2" in summary(backbone, tmp_path / "b.pkl")
    assert "width:           5" in inspect(tmp_path / "b.pkl", None, None, {})[0]
    assert "| `embed.proj` | `blocks.{i}.mix` |" in page()


def test_only_what_fits_its_facts_is_written(toy: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(raw(toy, tmp_path / "a.safetensors"))
    for facts, message in (
        ({"layers": 3}, "not the complete Toy-3: 2 missing"),
        ({"layers": 10}, "layers 10; expected 1 to 9"),
        ({"padded": 1}, "'padded' is missing or not a bool"),
        ({"family": "resnet"}, "'resnet' is not known; expected vit, .*, toy, no such key for a ResNet"),
    ):
        with pytest.raises(CheckpointError, match=message):
            save_backbone(replace(backbone, manifest=backbone.manifest | facts), tmp_path / "b.pkl")
    with pytest.raises(CheckpointError, match="a Toy has no such fact"):
        open_checkpoint(tmp_path / "a.safetensors", stride_in_1x1=True)


def test_its_identity_moves_with_its_facts_and_its_name(
    toy: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "FAMILIES", (*table.FAMILIES, replace(TOY, name="twin")))
    backbone = open_checkpoint(raw(toy, tmp_path / "a.safetensors"))

    def changed(**facts: object) -> str:
        return replace(backbone, manifest=backbone.manifest | facts).content_sha256()

    same = backbone.content_sha256()
    assert changed(notes=["x"]) == same
    assert len({same, changed(padded=False), changed(family="twin")}) == 3


def test_where_the_family_is_not_known_its_file_is_refused(
    toy: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = raw(toy, tmp_path / "a.safetensors")
    for suffix, form in SUFFIXES.items():
        export(open_checkpoint(path), tmp_path / f"b{suffix}", form)
    monkeypatch.setattr(table, "FAMILIES", table.FAMILIES[:1])
    assert "no complete ResNet" in refused(path)
    for suffix in SUFFIXES:
        told = refused(tmp_path / f"b{suffix}")
        assert told.startswith(f"{tmp_path / f'b{suffix}'}: backbone manifest: family 'toy' is not known")


def test_a_file_of_before_families_is_written_byte_for_byte(narrow_backbone: Path) -> None:
    """Both hashes were taken at the commit before; its records hold the second one."""
    assert hashlib.sha256(narrow_backbone.read_bytes()).hexdigest() == (
        "5c03c54307e141cb5cd86f15be223320fbbe0f5a81d3f78d26aca207dcfe4bf7"
    )
    assert load_backbone(narrow_backbone).content_sha256() == (
        "028defbbdbd4120467f17e851f90afbcbc5ceb781b2b269fbc503b1a3987ecc7"
    )


def test_only_its_own_files_know_a_resnet() -> None:
    """The publishers' rows quote the files that they describe."""
    package = Path(converters.__file__).parent
    for path in package.rglob("*.py"):
        if not path.name.startswith("resnet") and path.parent.name != "publishers":
            text = path.read_text(encoding="utf-8")
            told = [word for word in ("res5", "318", "7x7", "MODEL.RESNETS", "bottleneck") if word in text]
            assert not told, f"{path.relative_to(package)} says {told}"


def test_a_resnet_needs_no_name_for_its_family(tiny: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(write(tmp_path / "a.safetensors", tiny))
    assert "family" not in backbone.manifest
    assert manifest_types(table.UNNAMED).keys() <= backbone.manifest.keys()
    assert table.family_of(backbone.manifest) is table.FAMILIES[0]


def test_a_width_of_nothing_is_refused(tiny: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(write(tmp_path / "a.safetensors", tiny))
    with pytest.raises(CheckpointError, match="expected 1 or more"):
        save_backbone(Backbone(backbone.weights, backbone.manifest | {"groups": 0}), tmp_path / "b.pkl")


def test_the_facts_of_a_resnet_and_what_they_usually_are() -> None:
    """The recipes take these nine over, and a random backbone has the usual ones."""
    facts = facts_of_weights(table.UNNAMED)
    assert [(fact.key, fact.usual) for fact in facts if fact.later] == [("stem", "7x7"), ("avg_down", False)]
    assert [(fact.key, fact.usual) for fact in facts if not fact.later] == [
        ("depth", 50),
        ("groups", 1),
        ("width_per_group", 64),
        ("stem_out_channels", 64),
        ("res2_out_channels", 256),
        ("stride_in_1x1", False),
        ("input_format", "RGB"),
        ("pixel_mean", [123.675, 116.28, 103.53]),
        ("pixel_std", [58.395, 57.12, 57.375]),
    ]
