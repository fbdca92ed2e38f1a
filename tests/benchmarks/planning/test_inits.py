"""An init on its way to its cells: opened without a word, introduced, and stored once for all its trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.planning.inits import introduction, open_inits, store_backbone
from converters import backbone as contract
from converters.backbone import Backbone, load_backbone, write_proven
from converters.errors import CheckpointError


def test_opening_prints_nothing_and_the_introduction_says_whose_weights_they_are(
    narrow_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random, narrow = open_inits(["random", f"a={narrow_backbone}"])
    assert capsys.readouterr() == ("", "")
    assert list(introduction(random)) == []
    assert narrow.backbone is not None
    narrow.backbone.manifest["notes"].append("warning: odd")
    assert list(introduction(narrow)) == ["init a: moco, online encoder, 318 tensors, RGB", "  warning: odd"]
    known = {"against": "torchvision", "content_sha256": narrow.weights_sha256}
    narrow.backbone.manifest["certificate"] = known
    assert "  certified: it computes what torchvision does" in introduction(narrow)
    known["content_sha256"] = "of other weights"
    assert not any("certified" in line for line in introduction(narrow))


def test_one_proof_and_two_hashes_for_all_trials_and_a_file_that_proves_itself(
    narrow_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the hashes one is the file's own proof, the other is the identity."""
    proofs, hashes = [], []
    prove, content_sha256 = contract.prove, Backbone.content_sha256
    monkeypatch.setattr(contract, "prove", lambda one: proofs.append(prove(one)))
    monkeypatch.setattr(
        Backbone, "content_sha256", lambda one: hashes.append(content_sha256(one)) or hashes[-1]
    )
    (init,) = open_inits([f"a={narrow_backbone}"])
    paths = {store_backbone(init, tmp_path / "inits") for _ in range(5)}
    assert (len(proofs), len(hashes)) == (1, 2)
    (path,) = paths
    assert path is not None
    assert path.read_bytes() == narrow_backbone.read_bytes()
    assert load_backbone(path).content_sha256() == init.weights_sha256


def test_a_file_with_the_hash_of_other_weights_is_not_loaded(narrow_backbone: Path, tmp_path: Path) -> None:
    """`store` trusts the hash that it is given, and need not be trusted itself."""
    backbone = load_backbone(narrow_backbone)
    known = backbone.content_sha256()
    bias = backbone.weights["res2.0.conv1.norm.bias"]
    other = Backbone(backbone.weights | {"res2.0.conv1.norm.bias": np.flip(bias).copy()}, backbone.manifest)
    write_proven(other, tmp_path / "b.pkl", known)
    with pytest.raises(CheckpointError, match="damaged or edited"):
        load_backbone(tmp_path / "b.pkl")
