"""The VOC reader: coordinates, order, identity, tolerance, and a precise message for every fault."""

import re

import pytest

from tests.conftest import blank_image
from tests.transfer.datasets.voc_kit import voc_xml, write_voc
from transfer.datasets.findings import Findings
from transfer.datasets.registry import dataset_names, describe_layout, load_dataset, read_dataset
from transfer.errors import DataError

DOG = ("dog", 11, 21, 50, 60, 0)


def kit(tmp_path, xml=None, **options):
    """A devkit of two images; `xml` replaces the annotation of the second."""
    images = {"000001": (100, 80, [DOG]), "000002": (100, 80, [DOG, ("cat", 1, 1, 100, 80, 1)])}
    folder = write_voc(tmp_path, images, **options)
    if xml is not None:
        data = xml if isinstance(xml, bytes) else xml.encode()
        (folder / "Annotations" / "000002.xml").write_bytes(data)
    return folder


def load(tmp_path):
    return load_dataset("voc_2007_test", tmp_path)


def test_records_are_detectron2_dicts(tmp_path):
    folder = kit(tmp_path)
    dataset = load(tmp_path)
    assert [r["image_id"] for r in dataset.records] == ["000001", "000002"]
    record = dataset.records[1]
    assert record["file_name"] == str(folder / "JPEGImages" / "000002.jpg")
    assert (record["width"], record["height"]) == (100, 80)
    dog, cat = record["annotations"]
    assert dog == {
        "bbox": [10.0, 20.0, 50.0, 60.0],
        "bbox_mode": 0,
        "category_id": 11,
        "iscrowd": 0,
        "difficult": 0,
    }
    assert (cat["bbox"], cat["difficult"]) == ([0.0, 0.0, 100.0, 80.0], 1)
    assert (dataset.summary["images"], dataset.summary["objects"], dataset.summary["difficult"]) == (2, 3, 1)
    assert len(dataset.metadata["thing_classes"]) == 20


@pytest.mark.detectron2
def test_equals_detectron2_reader(samples):
    pytest.importorskip("detectron2")
    from detectron2.data.datasets.pascal_voc import load_voc_instances

    root = samples / "voc2012_det100"
    ours = load_dataset("voc_2012_val", root)
    theirs = load_voc_instances(str(root / "VOC2012"), "val", ours.metadata["thing_classes"])
    assert len(ours.records) == len(theirs) == 100
    for a, b in zip(ours.records, theirs, strict=True):
        assert {k: a[k] for k in ("file_name", "image_id", "height", "width")} == {
            k: b[k] for k in ("file_name", "image_id", "height", "width")
        }
        assert [(o["bbox"], o["category_id"], o["bbox_mode"]) for o in a["annotations"]] == [
            (o["bbox"], o["category_id"], int(o["bbox_mode"])) for o in b["annotations"]
        ]


def test_names_are_detectron2s():
    voc = {n for n in dataset_names() if re.fullmatch(r"voc_20\d\d_[a-z]+", n)}
    assert voc == {f"voc_2007_{s}" for s in ("train", "val", "trainval", "test")} | {
        f"voc_2012_{s}" for s in ("train", "val", "trainval")
    }
    assert "VOC2007/Annotations/*.xml" in describe_layout("voc_2007_test")


def test_float_coordinates_and_empty_tags_are_read(tmp_path):
    xml = voc_xml("000002", 100, 80, [("dog", "11.5", "21.25", "50.0", "60.75", "")])
    kit(tmp_path, xml.replace("<truncated>0", "<truncated>").replace("Unspecified", ""))
    (dog,) = load(tmp_path).records[1]["annotations"]
    assert dog["bbox"] == [10.5, 20.25, 50.0, 60.75]
    assert dog["difficult"] == 0


def test_image_without_objects_and_bom_and_parts_are_read(tmp_path):
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>"
    part = f"<part><name>head</name>{box}</part>"
    xml = voc_xml("000002", 100, 80, [DOG]).replace("<pose>", part + "<pose>")
    folder = kit(tmp_path, b"\xef\xbb\xbf" + xml.encode())
    (folder / "ImageSets/Main/test.txt").write_bytes(b"\xef\xbb\xbf000001\r\n000002\r\n\r\n")
    assert load(tmp_path).records[1]["annotations"][0]["bbox"] == [10.0, 20.0, 50.0, 60.0]
    (folder / "Annotations/000002.xml").write_text(voc_xml("000002", 100, 80, []))
    assert load(tmp_path).records[1]["annotations"] == []


def test_one_pixel_outside_is_kept_and_counted(tmp_path):
    kit(tmp_path, voc_xml("000002", 100, 80, [("dog", 0, 0, 50, 60, 0), ("dog", 5, 5, 101, 81, 0)]))
    dataset = load(tmp_path)
    assert dataset.records[1]["annotations"][0]["bbox"] == [-1.0, -1.0, 50.0, 60.0]
    assert dataset.summary["odd"] == {"box-one-pixel-outside": 2}


def test_identity_follows_content(tmp_path):
    folder = kit(tmp_path)
    first = load(tmp_path).summary["sha256"]
    assert load(tmp_path).summary["sha256"] == first
    seen = {first}
    (folder / "Annotations/000002.xml").write_text(voc_xml("000002", 100, 80, [DOG]))
    seen.add(load(tmp_path).summary["sha256"])
    (folder / "ImageSets/Main/test.txt").write_text("000002\n000001\n")
    seen.add(load(tmp_path).summary["sha256"])
    (folder / "ImageSets/Main/test.txt").write_text("000002\n")
    seen.add(load(tmp_path).summary["sha256"])
    assert len(seen) == 4


GOOD = voc_xml("000002", 100, 80, [("cat", 2, 2, 9, 9, 0), DOG])


def _with(old: str, new: str) -> str:
    assert old in GOOD
    head, tail = GOOD.rsplit(old, 1)  # the last object
    return head + new + tail


# rule -> variants of the second annotation file
MALFORMED: dict[str, list] = {
    "bad-xml": ["", "<annotation>", GOOD[: len(GOOD) // 2], "<html><body>404</html>", b"\x00\x01\xff", "{}"],
    "missing-field": [
        _with("<name>dog</name>", ""),
        _with("<name>dog</name>", "<name/>"),
        _with("<name>dog</name>", "<name> </name>"),
        _with("<xmin>11</xmin>", ""),
        _with("<ymax>60</ymax>", "<ymax/>"),
        re.sub(r"<bndbox>.*?</bndbox>", "", GOOD, flags=re.S),
        re.sub(r"<size>.*?</size>", "", GOOD, flags=re.S),
        _with("<width>100</width>", ""),
        _with("<height>80</height>", "<height></height>"),
    ],
    "unknown-class": [_with("dog</name>", f"{n}</name>") for n in ("dgo", "Dog", "sky", "0", "\N{DOG FACE}")],
    "not-a-number": [_with("<xmin>11", f"<xmin>{v}") for v in ("abc", "nan", "inf", "-inf", "1e999", "1,5")]
    + [_with("<width>100", f"<width>{v}") for v in ("wide", "nan")],
    "bad-size": [_with("<width>100", f"<width>{v}") for v in ("0", "-100", "99.5")]
    + [_with("<height>80", "<height>0"), _with("<height>80", "<height>-1")],
    "bad-flag": [_with("<difficult>0", f"<difficult>{v}") for v in ("2", "-1", "yes", "True", "0.5")],
    "empty-box": [
        _with("<xmax>50", "<xmax>11"),
        _with("<xmax>50", "<xmax>5"),
        _with("<ymax>60", "<ymax>21"),
        _with("<ymax>60", "<ymax>1"),
        _with("<xmin>11", "<xmin>51"),
    ],
    "box-outside": [
        _with("<xmax>50", "<xmax>102"),
        _with("<ymax>60", "<ymax>90"),
        _with("<xmin>11", "<xmin>-5"),
        _with("<ymin>21", "<ymin>-1"),
        _with("<xmax>50", "<xmax>1e30"),
    ],
    "wrong-image": [_with("000002.jpg", f"{n}.jpg") for n in ("000001", "000003", "2", "IMG_1", "000002 1")],
}  # fmt: skip
CASES = [(rule, i) for rule, variants in MALFORMED.items() for i in range(len(variants))]


def one_line_error(tmp_path, *parts):
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message
    return message


@pytest.mark.parametrize(("rule", "variant"), CASES)
def test_malformed_annotation_is_one_precise_line(tmp_path, rule, variant):
    kit(tmp_path, MALFORMED[rule][variant])
    message = one_line_error(tmp_path, f"[{rule}]", "000002.xml")
    in_object = rule not in ("bad-xml", "wrong-image", "bad-size") and "size" not in message
    assert ("object " in message) == in_object
    assert "python -m transfer.datasets check voc_2007_test" in message


def test_message_holds_object_field_and_value(tmp_path):
    kit(tmp_path, _with("<xmax>50", "<xmax>5"))
    one_line_error(tmp_path, "object 1 (dog)", "bndbox = [11.0, 21.0, 5.0, 60.0]", "zero or negative area")


def test_all_errors_are_counted(tmp_path):
    kit(
        tmp_path,
        voc_xml(
            "000002", 100, 80, [("dgo", 1, 1, 5, 5, 0), ("dog", 9, 9, 5, 5, 0), DOG, ("x", 1, 1, 2, 2, 7)]
        ),
    )
    one_line_error(tmp_path, "did you mean dog?", "(and 2 more)")


def test_missing_image_and_missing_annotation(tmp_path):
    folder = kit(tmp_path)
    (folder / "JPEGImages/000002.jpg").unlink()
    one_line_error(tmp_path, "[missing-image]", "VOC2007/JPEGImages/000002.jpg")
    blank_image(folder / "JPEGImages/000002.jpg")
    (folder / "Annotations/000001.xml").unlink()
    one_line_error(tmp_path, "[missing-annotation]", "Annotations/000001.xml")


SPLITS = {
    "000001\n000001\n": "duplicate-image",
    "000001 1\n": "bad-line",
    "000001\n../etc/passwd\n": "bad-line",
    "000001\n000009\n": "missing-annotation",
    "000001\n\N{SNOWMAN}\n": "missing-annotation",
}


@pytest.mark.parametrize("content", SPLITS)
def test_malformed_split_file(tmp_path, content):
    folder = kit(tmp_path)
    (folder / "ImageSets/Main/test.txt").write_text(content, encoding="utf-8")
    findings = Findings()
    read_dataset("voc_2007_test", tmp_path, findings)
    assert SPLITS[content] in findings.errors
    one_line_error(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "no image ids"), (b"\n\n", "no image ids"), (b"\xff\xfe1", "not UTF-8")]
)
def test_useless_split_file(tmp_path, content, says):
    folder = kit(tmp_path)
    (folder / "ImageSets/Main/test.txt").write_bytes(content)
    one_line_error(tmp_path, "test.txt", says)


@pytest.mark.parametrize("gone", ["Annotations", "JPEGImages", "ImageSets/Main/test.txt"])
def test_missing_folder_says_what_is_expected_where(tmp_path, gone):
    folder = kit(tmp_path)
    (folder / gone).rename(tmp_path / "elsewhere")
    one_line_error(tmp_path, gone, "VOC2007/ImageSets/Main/test.txt", str(tmp_path))


def test_other_split_and_nested_devkit_are_pointed_out(tmp_path):
    kit(tmp_path / "VOCdevkit", split="trainval")
    with pytest.raises(DataError, match="pass that as --data-root"):
        load_dataset("voc_2007_trainval", tmp_path)
    with pytest.raises(DataError, match="holds only: trainval.txt"):
        load_dataset("voc_2007_test", tmp_path / "VOCdevkit")


def test_unknown_name_and_root(tmp_path):
    with pytest.raises(DataError, match="did you mean voc_2007_test"):
        load_dataset("voc_2007_tset", tmp_path)
    with pytest.raises(DataError, match="is not a directory; .*; `python -m transfer.datasets list` shows"):
        load_dataset("voc_2007_test", tmp_path / "nowhere")


def test_deep_check_opens_the_images(tmp_path):
    folder = kit(tmp_path, real=True)
    findings = Findings(deep=True)
    read_dataset("voc_2007_test", tmp_path, findings)
    assert not findings.errors
    xml = voc_xml("000002", 80, 100, [])
    (folder / "Annotations/000002.xml").write_text(xml)
    findings = Findings(deep=True)
    read_dataset("voc_2007_test", tmp_path, findings)
    assert dict(findings.errors) == {"wrong-size": 1}
    assert "turned by 90 degrees" in findings.examples["wrong-size"][0].line()


def test_real_sample_reads(samples):
    dataset = load_dataset("voc_2012_val", samples / "voc2012_det100")
    assert (dataset.summary["images"], dataset.summary["objects"]) == (100, 273)
    assert dataset.summary["odd"] == {}
