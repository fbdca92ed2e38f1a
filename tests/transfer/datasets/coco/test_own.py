"""A user's own data sets: the block of a suite's file, the check of them, and what only they get wrong."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.transfer.datasets.coco.documents import good
from transfer.datasets.check import main
from transfer.datasets.coco import json_chunks
from transfer.datasets.coco.own import OwnDataset, read_own
from transfer.datasets.findings import LISTED_PER_RULE, Findings
from transfer.datasets.own_file import own_datasets, read_own_datasets
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError

REPOSITORY = Path(__file__).resolve().parents[4]
SUITE = """\
name: mine
recipe: {_BASE_: coco_fpn_1x, DATASETS.TRAIN: [cats], DATASETS.TEST: [more cats]}
datasets:
  cats: {format: coco, json: cats.json, images: photos}
  more cats: {format: coco, json: more.json, images: photos, tasks: [bbox, keypoints]}
primary: bbox/AP
"""


@pytest.fixture
def kit(tmp_path, monkeypatch):
    """A folder with two data sets on the same two images, and the suite that defines them."""
    (tmp_path / "photos").mkdir()
    for name in ("3.jpg", "7.jpg"):
        Image.new("RGB", (100, 80)).save(tmp_path / "photos" / name)
    (tmp_path / "cats.json").write_text(json.dumps(good()))
    (tmp_path / "more.json").write_text(json.dumps(good(keypoints=True)))
    (tmp_path / "suite.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(kit, change=lambda doc: None, name="cats"):
    doc = good()
    change(doc)
    (kit / "cats.json").write_text(json.dumps(doc))
    return load_dataset(name, kit, read_own_datasets(kit / "suite.yaml"))


def test_the_block_is_read_relative_to_its_file(kit, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    own = read_own_datasets(kit / "suite.yaml")
    assert own["cats"] == OwnDataset(
        "cats", kit / "cats.json", kit / "photos", ("bbox", "segm"), kit / "suite.yaml"
    )
    assert own["more cats"].tasks == ("bbox", "keypoints")
    assert load(kit).summary["images"] == 2


def test_check_finds_everything_in_all_sets_or_in_the_named(kit, capsys):
    doc = good()
    doc["annotations"] = [copy.deepcopy(doc["annotations"][0]) | {"id": n + 1} for n in range(20)]
    for annotation in doc["annotations"][:12]:
        annotation["bbox"] = [float("nan"), 5, 9, 9]
    (kit / "cats.json").write_text(json.dumps(doc))
    (kit / "photos" / "7.jpg").write_bytes(b"")
    assert main(["check", "--suite", "suite.yaml"]) == 1
    first, second = capsys.readouterr().out.split("data set more cats: ")
    assert first.startswith(f"data set cats: {kit}/cats.json, images in {kit}/photos\n")
    assert first.count("    cats.json: annotation id ") == 12, "each on a line of its own"
    for part in (first, second):
        assert "    7.jpg: image 7: file: cannot be decoded (empty file) [bad-image]\n" in part
        assert part.endswith("not usable: mend the errors\n")
    Image.new("RGB", (100, 80)).save(kit / "photos" / "7.jpg")
    assert main(["check", "more cats", "--suite", "suite.yaml"]) == 0
    assert capsys.readouterr().out.startswith("data set more cats: ")
    assert main(["check", "more cats", "cats", "--suite", "suite.yaml", "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["errors"] for line in lines] == [{}, {"not-a-number": 12}]


def test_a_list_without_end_is_cut_and_says_so(kit, capsys, monkeypatch):
    monkeypatch.setattr("transfer.datasets.check.LISTED_PER_RULE", 7)
    doc = good()
    doc["annotations"] = [
        copy.deepcopy(doc["annotations"][0]) | {"id": n + 1, "iscrowd": 2} for n in range(20)
    ]
    (kit / "cats.json").write_text(json.dumps(doc))
    assert main(["check", "cats", "--suite", "suite.yaml"]) == 1
    out = capsys.readouterr().out
    assert out.count("[bad-flag]\n") == 7
    assert "  bad-flag: 20\n" in out
    assert "    and 13 more\n" in out
    assert LISTED_PER_RULE >= 10_000


@pytest.mark.parametrize(("arguments", "says"), [
    (["check"], "nothing to check: give names"),
    (["check", "--suite", "absent.yaml"], "--suite absent.yaml: No such file or directory; expected a suite"),
    (["check", "--suite", "photos"], "--suite photos: Is a directory"),
    (["check", "--suite", "cats.json"], "suite cats.json: it defines no data sets of its own"),
    (["check", "--suite", "photos/3.jpg"], "suite photos/3.jpg: line 1: not UTF-8"),
    (["check", "dogs", "--suite", "suite.yaml"], "unknown data set 'dogs'; "),
    (["check", "cat", "--suite", "suite.yaml"], "unknown data set 'cat'; did you mean cats, "),
])  # fmt: skip
def test_wrong_use_is_one_line(kit, capsys, arguments, says):
    assert main([*arguments, "--data-root", str(kit)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {says}"), captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


TEXTS = {
    "no mapping": ("just text", "expected lines like `name: ...`, got str"),
    "a list": ("datasets: [a]", r"it defines no data sets of its own \(`datasets` is \['a'\]\)"),
    "broken": ("datasets: {a: {", "line 1: expected the node content"),
    "public name": ("datasets: {voc_2007_test: {}}", "voc_2007_test is the name of a public data set"),
    "escape": ('datasets: {"a\\e[2J": {}}', r"the name 'a\\x1b\[2J' is empty or not printable"),
    "nested": ("datasets: " + "[" * 5000, "more than 32 deep"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_file_that_is_no_suite(kit, text):
    content, says = TEXTS[text]
    (kit / "suite.yaml").write_text(content)
    with pytest.raises(DataError, match=says) as caught:
        read_own_datasets(Path("suite.yaml"))
    assert str(caught.value).startswith("suite suite.yaml:")
    assert "\n" not in str(caught.value)


DEFINITIONS = [
    ({"json": value}, says)
    for value, says in (
        ("~no_such_user/a.json", "json is '~no_such_user/a.json'; there is no such user"),
        ("a\0b", r"json is 'a\x00b'; expected a path"),
        ("", "json is ''; expected a path"),
        (None, "json is None; expected a path"),
        (["a"], "json is ['a']; expected a path"),
    )
] + [
    ({"tasks": value}, "tasks is ")
    for value in ([], "bbox", ["bbox", ["segm"]], ["bbox", True], [["bbox"]], {"bbox": 1}, None, ["segm"])
]


@pytest.mark.parametrize(("change", "says"), DEFINITIONS)
def test_definitions_of_other_types(change, says):
    definition = {"format": "coco", "json": "a.json", "images": "b"} | change
    with pytest.raises(DataError) as caught:
        own_datasets({"mine": definition}, Path("s.yaml"))
    assert str(caught.value).startswith(f"suite s.yaml: datasets: mine: {says}")


@pytest.mark.parametrize(("change", "says"), [
    (lambda doc: doc.update(images=[], annotations=[]), "json: cats.json: images: there are none"),
    (lambda doc: doc.update(annotations=[]), "json: cats.json: annotations: there are none"),
    (lambda doc: doc["images"][1].update(file_name="folder"), "images: cats.json: image id 3: file_name = "),
    (lambda doc: doc["annotations"][0].update(id=True), "json: cats.json: annotation 0 (id True): id = "),
])  # fmt: skip
def test_what_nothing_can_be_made_of(kit, change, says):
    (kit / "photos" / "folder").mkdir()
    with pytest.raises(DataError) as caught:
        load(kit, change)
    assert str(caught.value).startswith(f"suite {kit}/suite.yaml: datasets: cats: {says}"), caught.value
    assert str(caught.value).endswith(f"python -m transfer.datasets check cats --suite {kit}/suite.yaml")


def test_booleans_are_found_in_any_piece_and_encoding(kit, monkeypatch):
    """They are looked for in the text first; UTF-16, which json reads, spells the words otherwise."""
    doc = good()
    doc["annotations"] = [copy.deepcopy(doc["annotations"][0]) | {"id": n + 1} for n in range(60)]
    doc["annotations"][43]["segmentation"][0][3] = True
    monkeypatch.setattr(json_chunks, "PIECE", 2000)
    own = read_own_datasets(kit / "suite.yaml")["cats"]
    for encoding in ("utf-8", "utf-16", "utf-16-be", "utf-32"):
        (kit / "cats.json").write_bytes(json.dumps(doc).encode(encoding))
        findings = Findings()
        read_own(own, findings)
        assert findings.errors == {"wrong-type": 1}, encoding


def test_booleans_that_no_number_is_made_of_are_left_alone(kit):
    """As labelling tools write them, and in fields that a set of boxes alone does not use."""

    def change(doc):
        for annotation in doc["annotations"]:
            annotation["attributes"] = {"occluded": False}
        doc["annotations"][0]["ignore"] = False
        doc["info"] = {"checked": True}

    assert load(kit, change).summary["objects"] == len(good()["annotations"])
    (kit / "suite.yaml").write_text(SUITE.replace("images: photos}", "images: photos, tasks: [bbox]}"))
    load(kit, lambda doc: doc["annotations"][0].update(segmentation=[[True]], keypoints=[True]))


def test_a_folder_that_may_not_be_listed(kit, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"datasets: cats: images: \S+/photos: Permission denied"):
        load(kit)


def test_the_command_line_reads_a_suite_without_torch(kit):
    code = "import sys\nfrom transfer.datasets.check import main\nmain(['check', '--suite', 'suite.yaml'])\n"
    code += "assert not {'torch', 'benchmarks', 'pycocotools'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\nusable\n") == 2
