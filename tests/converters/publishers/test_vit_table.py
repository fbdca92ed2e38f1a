"""Every publisher's vision transformer: all tensors equal to the file's, the account exact both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.backbone import load_backbone, save_backbone
from converters.containers.reading import open_file
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.finding.accounting import dropped
from converters.finding.choosing import choose, find
from converters.finding.overrides import Overrides
from converters.networks.table import family_of
from tests.converters.publishers.vit_case import ViTCase
from tests.converters.publishers.vit_cases import VIT_CASES


@pytest.mark.parametrize("case", VIT_CASES, ids=lambda case: case.name)
def test_publisher(case: ViTCase, tmp_path: Path) -> None:
    backbone = open_checkpoint(case.save(tmp_path / "a.pth"), source=case.stated)
    manifest = backbone.manifest
    assert (manifest["source"], manifest["encoder"], manifest["family"]) == (case.source, case.encoder, "vit")
    assert {key: manifest[key] for key in case.facts} == dict(case.facts)
    assert backbone.weights.keys() == family_of(manifest).shapes(manifest).keys() == case.ours.keys()
    for name, array in case.ours.items():
        assert backbone.weights[name].dtype == np.float32
        np.testing.assert_array_equal(backbone.weights[name], array, err_msg=name)
    save_backbone(backbone, tmp_path / "b.pkl")
    assert load_backbone(tmp_path / "b.pkl").content_sha256() == backbone.content_sha256()


@pytest.mark.parametrize("case", VIT_CASES, ids=lambda case: case.name)
def test_every_tensor_of_the_file_is_taken_or_left_out_with_a_reason(case: ViTCase, tmp_path: Path) -> None:
    opened = open_file(case.save(tmp_path / "a.pth"))
    found = find(opened)
    chosen = choose(opened, found, case.stated, None, Overrides()).account
    here = next(tensors for tensors in found.sets if tensors.path == chosen.candidate.path)
    left = dict(dropped(chosen, here))
    taken = {chosen.candidate.names[name] for name in chosen.stored}
    behind = {name for name in here.tensors if name.startswith(chosen.candidate.raw_prefix)}
    assert taken | set(left) == behind
    assert not taken & set(left)
    assert all(left.values())
    told = " ".join(open_checkpoint(opened.path, source=case.stated).manifest["notes"])
    assert all(why in told for why in left.values())


def test_a_network_that_needs_its_publisher_named_is_refused(tmp_path: Path) -> None:
    cases = {case.name: case for case in VIT_CASES}
    for name, text in (("augreg", "--source augreg"), ("deit3", "--source deit3")):
        case = cases[name]
        path = tmp_path / f"{name}.pth"
        ViTCase("", "", case.state, {}, cases["augreg"].wrap).save(path)
        with pytest.raises(CheckpointError, match=text):
            open_checkpoint(path)
        assert open_checkpoint(path, source=name).manifest["source"] == name


def test_facts_that_no_shape_tells_can_be_stated(tmp_path: Path) -> None:
    path = next(case for case in VIT_CASES if case.name == "plain").save(tmp_path / "a.pth")
    facts = {"num_heads": "4", "activation": "quick_gelu", "norm_eps": "1e-5"}
    manifest = open_checkpoint(path, facts=facts).manifest
    assert (manifest["num_heads"], manifest["activation"], manifest["norm_eps"]) == (4, "quick_gelu", 1e-5)
    assert "num_heads stated by the user: 4 instead of 1" in manifest["notes"]
    for fact, text in (
        ({"num_heads": "5"}, "num_heads 5 does not divide"),
        ({"num_heads": "x"}, "expected int"),
        ({"depth": 3}, "not stated of a vision transformer"),
    ):
        with pytest.raises(CheckpointError, match=text):
            open_checkpoint(path, facts=fact)
