"""Faults of COCO-like files: rule -> variants, each (text that the message must hold, what spoils)."""

SQUARE = [5, 5, 55, 5, 55, 55, 5, 55]


def put(**values):
    return lambda a: a.update(values)


def drop(key):
    return lambda a: a.pop(key)


def rle(**values):
    return lambda a: a.update(segmentation={"size": [80, 100], "counts": [8000], **values})


def unsized(key):
    def change(a):
        a["segmentation"] = {"size": [80, 100], "counts": [8000]}
        del a["segmentation"][key]

    return change


NAN, INF = float("nan"), float("inf")

ANNOTATIONS = {
    "id-zero": [("id = 0", put(id=0)), ("id = -1", put(id=-1)), ("id = -12", put(id=-12))],
    "duplicate-id": [("id = 11", put(id=11)), ("id = 13", put(id=13))],
    "unknown-image": [(f"image_id = {v}", put(image_id=v)) for v in (0, 8, -3, 10**15)],
    "unknown-category": [(f"category_id = {v}", put(category_id=v)) for v in (0, 2, 3, -1, 99)],
    "missing-field": [
        (key, drop(key)) for key in ("id", "image_id", "category_id", "bbox", "area", "iscrowd",
        "segmentation")
    ]
    + [(f"segmentation/{key}", unsized(key)) for key in ("size", "counts")],
    "wrong-type": [
        ("id = 12", put(id="12")),
        ("id = 12.5", put(id=12.5)),
        ("image_id = 3", put(image_id="3")),
        ("category_id", put(category_id=None)),
        ("category_id", put(category_id=1.5)),
        ("iscrowd", put(iscrowd="0")),
        ("area", put(area="2000")),
        ("area", put(area=None)),
        ("bbox", put(bbox=None)),
        ("bbox", put(bbox="5,5,50,50")),
        ("bbox", put(bbox={"x": 5})),
        ("bbox[2]", put(bbox=[5, 5, "50", 50])),
        ("bbox[0]", put(bbox=[None, 5, 50, 50])),
        ("segmentation", put(segmentation=None)),
        ("segmentation", put(segmentation="RLE")),
        ("segmentation", put(segmentation=7)),
        ("segmentation[0]", put(segmentation=[["5", 5, 55, 5, 55, 55]])),
        ("segmentation[0]", put(segmentation=[[[5, 5], [55, 5], [55, 55]]])),
        ("segmentation[1]", put(segmentation=[SQUARE, None])),
        # true is 1 to Python, and no number to COCO
        *((f"{key} = {v}: expected", put(**{key: v})) for v in (True, False)
          for key in ("id", "image_id", "category_id", "iscrowd", "area")),
        ("bbox[3] = True: expected a number, got true or false", put(bbox=[5, 5, 50, True])),
        ("segmentation[0]", put(segmentation=[[True, 5, 55, 5, 55, 55]])),
        ("segmentation[1]", put(segmentation=[SQUARE, [5, 5, 55, 5, 55, False]])),
        ("segmentation[0] = True", put(segmentation=[True])),
    ],
    "wrong-length": [
        ("has 3 numbers", put(bbox=[5, 5, 50])),
        ("has 5 numbers", put(bbox=[5, 5, 50, 50, 1])),
        ("has 0 numbers", put(bbox=[])),
    ],
    "not-an-object": [],  # filled below: the annotation itself is no object
    "huge-number": [
        ("id", put(id=2**63)),
        ("image_id", put(image_id=10**30)),
        ("bbox", put(bbox=[5, 5, 1e30, 50])),
        ("bbox", put(bbox=[-1e300, 5, 50, 50])),
        ("bbox[1] = 1000", put(bbox=[5, 10**400, 50, 50])),
        ("segmentation", put(segmentation=[[5, 5, 1e300, 5, 55, 55]])),
        ("segmentation", put(segmentation=[SQUARE, [5, 5, 55, -1e8, 55, 55]])),
    ],
    "not-a-number": [
        ("bbox", put(bbox=[NAN, 5, 50, 50])),
        ("bbox", put(bbox=[5, 5, INF, 50])),
        ("bbox", put(bbox=[5, -INF, 50, 50])),
        ("area", put(area=NAN)),
        ("area", put(area=INF)),
        ("segmentation", put(segmentation=[[5, 5, NAN, 5, 55, 55]])),
        ("segmentation", put(segmentation=[[5, 5, INF, 5, 55, 55]])),
    ],
    "negative-box": [("bbox", put(bbox=[55, 5, -50, 50])), ("bbox", put(bbox=[5, 55, 50, -50])),
            ("bbox", put(bbox=[9, 9, -1, -1]))],
    "empty-box": [("bbox", put(bbox=[5, 5, 0, 50])), ("bbox", put(bbox=[5, 5, 50, 0])),
            ("bbox", put(bbox=[5, 5, 0, 0]))],
    "box-outside": [
        ("bbox", put(bbox=[60, 5, 50, 50])),
        ("bbox", put(bbox=[5, 60, 50, 50])),
        ("bbox", put(bbox=[-5, 5, 50, 50])),
        ("bbox", put(bbox=[200, 200, 50, 50])),
    ],
    "box-as-corners": [("is it [x0, y0, x1, y1]?", put(bbox=[45, 45, 95, 75])),
            ("x1", put(bbox=[30, 40, 90, 70]))],
    "bad-area": [("area = -1", put(area=-1)), ("area", put(area=-2000.5))],
    "area-exceeds-box": [("area", put(area=2700)), ("area", put(area=1e6))],
    "bad-flag": [("iscrowd = 2", put(iscrowd=2)), ("iscrowd = -1", put(iscrowd=-1)),
            ("iscrowd", put(iscrowd=255))],
    "ignore-flag": [("ignore = 1", put(ignore=1)), ("ignore", put(ignore=True))],
    "odd-polygon": [("segmentation", put(segmentation=[[*SQUARE, 9]])),
            ("segmentation", put(segmentation=[SQUARE, [1, 2, 3]]))],
    "short-polygon": [("segmentation", put(segmentation=[[5, 5, 55, 55]])),
            ("segmentation", put(segmentation=[SQUARE, [5, 5]]))],
    "flat-polygon": [("segmentation", put(segmentation=SQUARE)),
            ("segmentation", put(segmentation=[5.5, 5.5]))],
    "no-segmentation": [("segmentation", put(segmentation=[]))],
    "polygon-outside": [
        ("segmentation", put(segmentation=[[5, 5, 155, 5, 55, 55]])),
        ("segmentation", put(segmentation=[[-50, 5, 55, 5, 55, 55]])),
    ],
    "box-not-of-polygon": [
        ("bbox", put(segmentation=[[5, 5, 15, 5, 15, 15]])),
        ("bbox", put(bbox=[40, 20, 50, 50])),
    ],
    "bad-rle": [
        ("segmentation/counts", rle(counts=[1, 2, 3])),
        ("segmentation/counts", rle(counts=[9000, -1000])),
        ("segmentation/counts", rle(counts=[1.5, 7998.5])),
        ("segmentation/counts", rle(counts="")),
        ("segmentation/counts", rle(counts="zzzz")),
        ("segmentation/counts", rle(counts="\u00e9\u00e8")),
        ("segmentation/counts", rle(counts=7)),
        ("segmentation/counts", rle(counts=None)),
        ("segmentation/size", rle(size=[80])),
        ("segmentation/size", rle(size="80x100")),
        ("segmentation/size", rle(size=[80.0, 100.0])),
        ("segmentation/size", rle(size=[80, True])),
        ("segmentation/counts", rle(counts=[True, 7999])),
    ],
    "rle-size": [("segmentation/size", rle(size=[100, 80])), ("segmentation/size", rle(size=[1, 8000]))],
}  # fmt: skip
del ANNOTATIONS["not-an-object"]


def image(index=0, **values):
    return lambda doc: doc["images"][index].update(values)


def no_image(key):
    return lambda doc: doc["images"][0].pop(key)


def category(index=0, **values):
    return lambda doc: doc["categories"][index].update(values)


IMAGES_AND_CATEGORIES = {
    "missing-field": [(key, no_image(key)) for key in ("id", "width", "height", "file_name")]
    + [(key, lambda doc, key=key: doc.pop(key)) for key in ("images", "categories")]
    + [("categories", lambda doc: doc.update(categories=[])),
    ("images", lambda doc: doc.update(images={"7": {}}))],
    "wrong-type": [("id", image(id="7")), ("width", image(width="100")), ("height", image(height=80.0)),
            ("width", image(width=None)), ("id = True", image(id=True)), ("width = True", image(width=True)),
            ("height = False", image(height=False)), ("width = 1e+30", image(width=1e30)),
            ("height = nan", image(height=NAN))],
    "bad-size": [("width = 0", image(width=0)), ("height = -80", image(height=-80)),
            ("width", image(width=2**64)), ("width = 10000001", image(width=10**7 + 1)),
            ("height", image(height=10**15))],
    "bad-id": [("id = -7", image(id=-7)), ("id", image(id=2**63))],
    "bad-path": [("file_name", image(file_name=v)) for v in ("../secret.jpg", "/etc/passwd", "",
            "a/../../b.jpg", "../../etc/passwd", "..", "\ud800.jpg", "7.jpg\0")],
    "duplicate-image": [("id = 7", image(1, id=7)), ("file_name", image(1, file_name="7.jpg")),
            ("file_name = ./7.jpg", image(1, file_name="./7.jpg")),
            ("file_name = 3.jpg", lambda doc: doc["images"].append(doc["images"][1] | {"id": 9, "width": 1})),
            ("id = 3", lambda doc: doc["images"].append(doc["images"][1] | {"width": 1}))],
    "missing-image": [("file_name = 8.jpg", image(file_name="8.jpg")),
            ("file_name", image(file_name="7.JPG")),
                      ("file_name", image(file_name="val2017/7.jpg")),
                      ("file_name", image(file_name="\u00e9.jpg"))],
    "not-an-object": [
        ("image entry 0", lambda doc: doc["images"].insert(0, "7.jpg")),
        ("image entry 1", lambda doc: doc["images"].insert(1, None)),
        ("category entry 0", lambda doc: doc["categories"].insert(0, "cat")),
        ("annotation 0", lambda doc: doc["annotations"].insert(0, [])),
        ("annotation 2", lambda doc: doc["annotations"].insert(2, None)),
    ],
    "bad-category": [("id", category(id="1")), ("id", category(id=-1)), ("id", category(id=None)),
            ("name", category(name=None)),
                     ("name", category(name="")), ("id", category(id=2**40)), ("id", category(id=True)),
            ("name", category(name="a\ud800")), ("name", category(name="a\0b"))],
    "duplicate-category": [("id = 1", category(1, id=1)), ("name = cat", category(1, name="cat"))],
}  # fmt: skip


def first(**values):
    return lambda doc: doc["annotations"][0].update(values)


POINTS = [20, 20, 2] * 5 + [30, 30, 1] * 2 + [0, 0, 0] * 10

KEYPOINTS = {
    "wrong-length": [("keypoints", first(keypoints=POINTS[:-1])),
            ("keypoints", first(keypoints=POINTS + [1, 1, 1])),
                     ("keypoints", first(keypoints=[]))],
    "missing-field": [("keypoints", lambda doc: doc["annotations"][0].pop("keypoints")),
                      ("num_keypoints", lambda doc: doc["annotations"][0].pop("num_keypoints"))],
    "wrong-type": [("keypoints[1]", first(keypoints=[20, "20", *POINTS[2:]])),
            ("num_keypoints", first(num_keypoints="7")),
                   ("keypoints", first(keypoints=None)),
            ("num_keypoints = True", first(num_keypoints=True)),
            ("keypoints[2] = True", first(keypoints=[20, 20, True, *POINTS[3:]]))],
    "huge-number": [("keypoints", first(keypoints=[1e300, 20, 2, *POINTS[3:]])),
            ("keypoints", first(keypoints=[20, -1e8, 2, *POINTS[3:]]))],
    "bad-visibility": [("keypoints", first(keypoints=[20, 20, 3, *POINTS[3:]])),
            ("keypoints", first(keypoints=[20, 20, -1, *POINTS[3:]])),
                       ("keypoints", first(keypoints=[20, 20, 0.5, *POINTS[3:]]))],
    "keypoint-count": [("num_keypoints = 8", first(num_keypoints=8)),
            ("num_keypoints = 0", first(num_keypoints=0))],
    "keypoint-outside": [("keypoints", first(keypoints=[120, 20, 2, *POINTS[3:]])),
            ("keypoints", first(keypoints=[20, -9, 1, *POINTS[3:]]))],
    "not-a-number": [("keypoints", first(keypoints=[NAN, 20, 2, *POINTS[3:]])),
            ("keypoints", first(keypoints=[20, INF, 2, *POINTS[3:]]))],
    "keypoint-names": [("keypoints", category(keypoints=["nose"])),
            ("keypoints", lambda doc: doc["categories"][0].pop("keypoints"))],
}  # fmt: skip

LVIS = {
    "bad-frequency": [("frequency", category(frequency=v)) for v in ("x", None, "rare")],
    "bad-category-list": [("neg_category_ids", image(neg_category_ids=[99])),
            ("neg_category_ids", image(neg_category_ids="4")),
                          ("not_exhaustive_category_ids", image(not_exhaustive_category_ids=[0])),
                          ("neg_category_ids", image(neg_category_ids=[4.5]))],
    "negative-present": [("category_id = 1", image(neg_category_ids=[1])),
            ("category_id = 1", image(1, neg_category_ids=[1, 4]))],
    "missing-field": [("file_name", no_image("coco_url")), ("file_name", image(coco_url="7.jpg")),
            ("area", lambda doc: doc["annotations"][0].pop("area"))],
    "missing-image": [("file_name", image(coco_url="http://x/train2017/7.jpg")),
            ("file_name", image(coco_url="http://x/val2017/9.jpg"))],
}  # fmt: skip

# what the message says -> whole files
FILES = {
    "it is empty": [b"", b"  \n"],
    "it looks like an HTML page": [b"<!DOCTYPE html><html></html>", b"<html><body>Sign in</body></html>"],
    "it is a Git LFS pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"],
    "it is a zip archive": [b"PK\x03\x04 and so on"],
    "is it cut off?": [b'{"images": [', b'{"images": [], "annotations": [{"id": 1}',
            b'{"annotations": [{"id": 1},', b"{'images': []}"],
    "it is nested too deeply": [
        b'{"images": [], "annotations": [{"id": ' + b"[" * 10**5 + b"]" * 10**5 + b"}]}",
        b'{"images": ' + b'{"a":' * 10**5 + b"1" + b"}" * 10**5 + b', "annotations": []}',
    ],
    "not UTF-8": [b'{"images": [], "annotations": [], "info": "\xff\xfe"}'],
    "expected a JSON object": [b"[]", b"[1, 2]", b"{}", b'"text"', b"null", b'{"annotations": {}}',
            b'{"images": []}'],
}  # fmt: skip
