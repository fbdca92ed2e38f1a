"""Random damage to annotation files: the readers refuse with DataError or read on, and never crash."""

import contextlib
import copy
import json
import random

import pytest

from tests.transfer.datasets.coco.documents import KINDS, good, write
from tests.transfer.datasets.voc_kit import voc_xml, write_voc
from transfer.datasets.findings import Findings
from transfer.datasets.registry import load_dataset, read_dataset
from transfer.errors import DataError

# fmt: off
JUNK = [
    None, True, -1, 0, 3.5, 2**70, float("nan"), "", "x", [], [1], {}, {"a": 1}, [[]], [None], "\u0000", 1e308
]
# fmt: on


def places(node, path=()):
    """Every path into a JSON document."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def damage(doc, rng):
    for _ in range(rng.randint(1, 3)):
        spots = list(places(doc))
        if not spots:
            return doc
        *way, last = rng.choice(spots)
        node = doc
        for key in way:
            node = node[key]
        if rng.random() < 0.3 and isinstance(node, dict):
            del node[last]
        else:
            node[last] = copy.deepcopy(rng.choice(JUNK))
    return doc


def read(name, root):
    with contextlib.suppress(DataError):  # any other exception fails the test
        dataset = read_dataset(name, root, Findings())
        assert len(list(dataset.records)) == len(dataset.records)
    with contextlib.suppress(DataError):
        load_dataset(name, root)


@pytest.mark.parametrize("name", KINDS)
def test_junk_values_in_coco_like_files(tmp_path, name):
    rng = random.Random(7)
    for _ in range(300):
        write(tmp_path, damage(copy.deepcopy(good(**KINDS[name][1])), rng), name)
        read(name, tmp_path)


def test_flipped_and_cut_bytes_in_a_coco_file(tmp_path):
    rng = random.Random(8)
    whole = json.dumps(good()).encode()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        write(tmp_path, bytes(data[: rng.choice([len(data), rng.randrange(len(data))])]))
        read("coco_2017_val", tmp_path)


def test_flipped_and_cut_bytes_in_a_voc_file(tmp_path):
    rng = random.Random(9)
    folder = write_voc(tmp_path, {"a": (100, 80, [("dog", 11, 21, 50, 60, 0)])})
    whole = voc_xml("a", 100, 80, [("dog", 11, 21, 50, 60, 0), ("cat", 1, 1, 9, 9, 1)]).encode()
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        (folder / "Annotations/a.xml").write_bytes(data[: rng.choice([len(data), rng.randrange(len(data))])])
        read("voc_2007_test", tmp_path)
