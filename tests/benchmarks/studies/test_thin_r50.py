"""Weights from a Caffe file: written here field by field, read back under torchvision's names."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import UsageError
from benchmarks.studies.data.caffe_file import read_layers
from benchmarks.studies.data.prepare import prepare
from benchmarks.studies.data.sets import WEIGHTS
from benchmarks.studies.data.thin_r50 import FILE, MODEL, PACKAGE

Layers = list[tuple[str, list[np.ndarray]]]


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _bytes(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def caffemodel(layers: Layers) -> bytes:
    """A file of these layers, with fields of all kinds that a reader must pass over."""
    out = _bytes(1, b"a net") + _varint(6 << 3) + _varint(300)
    for name, blobs in layers:
        content = _bytes(1, name.encode()) + _bytes(2, b"Convolution") + struct.pack("<Bf", 9 << 3 | 5, 1.5)
        for blob in blobs:
            shape = _bytes(7, _bytes(1, b"".join(map(_varint, blob.shape))))
            content += _bytes(7, _bytes(5, blob.astype("<f4").tobytes()) + shape)
        out += _bytes(100, content + struct.pack("<Bd", 11 << 3 | 1, 2.5))
    return out


def _block(rest: str, seed: int, bias: bool = False) -> Layers:
    r = np.random.default_rng(seed)
    conv = [r.normal(size=(4, 3, 2, 2)), *([r.normal(size=4)] if bias else [])]
    norm = [r.normal(size=4), r.uniform(1, 2, 4), np.array([4.0])]
    return [
        (f"conv_{rest}", conv),
        (f"bn_{rest}", norm),
        (f"scale_{rest}", [r.normal(size=4), r.normal(size=4)]),
    ]


@pytest.fixture
def layers() -> Layers:
    """The stem, whose convolution has a bias, three places in blocks and a classifier."""
    return [
        *_block("1", 0, bias=True),
        *_block("stage0_block0_proj_shortcut", 1),
        *_block("stage3_block2_branch2c", 2),
        ("fc_nsfw", [np.ones((2, 4)), np.ones(2)]),
    ]


def _package(root: Path, content: bytes) -> None:
    (root / "thin_r50").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / "thin_r50" / PACKAGE, "w") as package:
        package.writestr(MODEL, content)


def test_weights_under_torchvisions_names(layers: Layers, tmp_path: Path) -> None:
    _package(tmp_path / "source", caffemodel(layers))
    assert prepare(WEIGHTS, tmp_path / "source", tmp_path)["arrays"] == {"tensors": 18}
    found = np.load(tmp_path / WEIGHTS / FILE)
    blobs = dict(layers)
    stem, norm = blobs["conv_1"], blobs["bn_1"]
    np.testing.assert_array_equal(found["conv1.weight"], stem[0].astype(np.float32))
    np.testing.assert_allclose(found["bn1.running_mean"], norm[0] / 4 - stem[1], rtol=1e-5)
    np.testing.assert_allclose(found["bn1.running_var"], norm[1] / 4, rtol=1e-6)
    shortcut, last = (blobs[f"scale_stage{name}"] for name in ("0_block0_proj_shortcut", "3_block2_branch2c"))
    np.testing.assert_array_equal(found["layer1.0.downsample.1.weight"], shortcut[0].astype(np.float32))
    np.testing.assert_array_equal(found["layer4.2.bn3.bias"], last[1].astype(np.float32))
    assert found["layer4.2.conv3.weight"].shape == (4, 3, 2, 2)
    assert not [name for name in found if "fc" in name]


def test_another_file_is_one_line(layers: Layers, tmp_path: Path) -> None:
    whole = caffemodel(layers)
    for content, says in (
        (whole[:-9], "no Caffe model file"),
        (b"\x07" + whole, "no Caffe model file"),
        (caffemodel(layers[:1]), r"not the package that is meant \('bn_1'\)"),
    ):
        _package(tmp_path / "source", content)
        with pytest.raises(UsageError, match=says):
            prepare(WEIGHTS, tmp_path / "source", tmp_path)
    assert not (tmp_path / WEIGHTS).exists()


def test_layers_without_numbers_are_left_out() -> None:
    assert read_layers(caffemodel([("data", []), ("a", [np.ones((2, 1))])]))["a"][0].tolist() == [[1], [1]]
    assert list(read_layers(caffemodel([("data", [])]))) == []
