"""The report: complete, self-contained, safe with any text, and drawn by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from converters.options import visible
from results.report.differences import differing
from results.report.page import render_report
from results.store import load_records, save_record
from results.tables.trials import group_trials
from tests.results.report.parsed import parse

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
]
EVIL = '<script>alert("x")</script>&"\'\x1b[2J\u202e'


@pytest.fixture
def root(tmp_path: Path, make_record: Any) -> Path:
    """Three suites' worth of everything that a report may meet."""
    steps = {"supervised": 1.0, "moco": 1.1}
    records = [make_record(init, t, 50.0 + t * steps[init]) for init in steps for t in range(2)]
    records[0]["init_account"] = {"set": 317, "total": 318, "fresh": [f"tensor{i}" for i in range(400)]}
    records[2]["recipe"]["SOLVER.BASE_LR"] = 0.01
    records += [make_record("moco", 2, status="failed"), make_record(EVIL, 0, because=(f"smoke {EVIL}",))]
    records += [make_record("moco", 0, suite="coco_fpn_1x", status="running")]
    records[4]["error"] = f"Traceback:\n  File x\nFloatingPointError: NaN {EVIL}"
    records[1]["environment"]["torch"] = "2.14.0"
    for record in records:
        save_record(record, tmp_path / "runs")
        if record["status"] != "finished":
            continue
        cell = tmp_path / "runs" / "cells" / record["suite"] / f"any-spelling-{record['id']}"
        cell.mkdir(parents=True)
        log = [{"iteration": i, "total_loss": 3.0 - i / 1000, "lr": 0.02, "time_s": 0.1} for i in range(1000)]
        (cell / "log.jsonl").write_text("\n".join(map(json.dumps, log)) + '\n{"iteration": 10')
        classes = {"dog": 60.0 + record["trial"], "cat": None, EVIL: 1.0}
        (cell / "per_class.json").write_text(json.dumps({"bbox": {"AP50": classes}}))
        Image.new("RGB", (640, 160), (40, 90, 200)).save(cell / "samples.png")
    return tmp_path / "runs"


def test_everything_is_on_the_page(root: Path) -> None:
    page = parse(render_report(group_trials(load_records(root)), root, ["records/x.json: not JSON"]))
    for text in (
        "7 cells: 1 running · 5 finished · 1 failed",
        "left out: records/x.json: not JSON",
        "voc_c4, moco, trial 2: failed: FloatingPointError: NaN",
        "coco_fpn_1x, moco: 1 running",
        "not comparable with published numbers: smoke",
        "trials ran with different torch: 2.14.0, 2.15.0",
        "50.5 ± 0.7 (2)",
        "Training loss",
        "bbox/AP50 by class: 2 classes",
        "Sample predictions",
        "SOLVER.BASE_LR",
        "voc_2007_trainval",
        "318 of 318",
        "voc_c4, supervised: 317 of 318 tensors were set",
        "tensor4 ... 400 in all",
        "Full recipe 55555555",
    ):
        assert text in page.text, text
    assert len(list(page.all("polyline"))) == 3  # one per row, over its trials
    assert len(list(page.all("img"))) == 3
    answer = [one.text for one in page.all("p", "answer")]
    assert answer == ["No row is shown to beat supervised; the nearest is moco."]
    order = [
        one.text
        for one in page.all()
        if one.tag in ("h1", "section", "h2") or one.tag == "p" and one.attributes.get("class") == "answer"
    ]
    assert order[:2] == ["Transfer results", *answer]
    assert order[2].startswith("Read this first")
    assert order[3:] == ["coco_fpn_1x", "voc_c4", "Environment", "All cells"]


def test_nothing_comes_from_outside_and_no_text_becomes_markup(root: Path) -> None:
    page = render_report(group_trials(load_records(root)), root)
    reader = parse(page)
    for one in reader.all():
        assert one.tag not in ("script", "link", "iframe", "object", "form")
        assert not {name for name in one.attributes if name.startswith("on")}, one.tag
        for name in ("src", "href", "srcset", "data", "action"):
            assert one.attributes.get(name, "#").startswith(("#", "data:image/")), one
    assert not re.search(r"@import|url\(|https?://", page)
    assert visible(EVIL) in reader.text
    assert all(character.isprintable() or character == "\n" for character in page)


def test_without_any_cell_directory_the_tables_remain(root: Path) -> None:
    shutil.rmtree(root / "cells")
    page = parse(render_report(group_trials(load_records(root)), root))
    assert "50.5 ± 0.7 (2)" in page.text
    assert "Training loss" not in page.text


def test_broken_cell_files_are_left_out(root: Path) -> None:
    for name in ("log.jsonl", "per_class.json", "samples.png"):
        for path in root.glob(f"cells/*/*/{name}"):
            path.write_bytes(b"\x00garbage")
    page = parse(render_report(group_trials(load_records(root)), root))
    assert "Sample predictions" not in page.text
    assert "50.5 ± 0.7 (2)" in page.text


def test_what_holds_in_many_places_is_said_once(root: Path, make_record: Any) -> None:
    for suite in ("lvis", "coco_c4_1x", "my_cells"):
        for version in ("2.14.0", "2.15.0"):
            record = make_record("moco", int(version[2:4]), suite=suite)
            record["environment"]["torch"] = version
            save_record(record, root)
    page = render_report(group_trials(load_records(root)), root)
    (box,) = (one.text for one in parse(page).all("section", "warnings"))
    told = "coco_c4_1x, lvis, my_cells ... 4 in all: trials ran with different torch: 2.14.0, 2.15.0"
    assert box.count("trials ran with different torch") == 1
    assert told in box


def test_no_folder_of_the_author_is_on_the_page(root: Path, make_record: Any) -> None:
    record = make_record("mine", 0)
    record["init_manifest"]["source_file"] = "/home/author/checkpoints/r50.pth"
    record["environment"]["command"] = ["/home/author/moco/run.py", "--init", "mine=/home/author/my r50.pth"]
    record["recipe"]["OUTPUT_DIR"] = "C:\\Users\\author\\runs"
    save_record(record, root)
    failed = make_record("mine", 1, status="failed")
    failed["error"] = "OSError: /home/author/secret/data.json: gone"
    save_record(failed, root)
    problems = ["/home/author/runs/records/x.json: not JSON"]
    page = parse(render_report(group_trials(load_records(root)), root, problems)).text
    assert "author" not in page
    assert "left out: x.json: not JSON" in page
    assert page.count("OSError: data.json: gone") == 2, "in the warnings and in the list of cells"
    assert "r50.pth" in page
    assert "run.py --init" in page


def test_two_values_that_differ_in_the_folder_alone_are_shown_whole() -> None:
    assert differing({"a": {"K": "/x/y/z"}, "b": {"K": "/x/w/z"}, "c": {}}) == [
        ["K", "/x/y/z", "/x/w/z", "-"]
    ]
    assert differing({"a": {"K": "/x/y/z"}, "b": {"K": "/x/y/w"}, "c": {}}) == [["K", "z", "w", "-"]]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_draws_it_without_overflow(root: Path, tmp_path: Path, width: int) -> None:
    """The page inside a frame of a phone's and a desk's width reports its own layout."""
    (tmp_path / "report.html").write_text(
        render_report(group_trials(load_records(root)), root), encoding="utf-8"
    )
    probe = (
        "<title></title><iframe id=f style='width:%dpx;height:900px'></iframe><pre id=o></pre><script>"
        "f.srcdoc=%s;f.onload=()=>{const d=f.contentDocument,e=d.documentElement;"
        "const bars=[...d.querySelectorAll('h2 ~ .dots .track')].map(b=>Math.round(b.offsetWidth));"
        "o.textContent=JSON.stringify({scroll:e.scrollWidth,client:e.clientWidth,bars,"
        "svg:[...d.querySelectorAll('.chart svg')].map(s=>s.clientHeight)})}</script>"
    )
    page = json.dumps((tmp_path / "report.html").read_text(encoding="utf-8")).replace("</", "<\\/")
    (tmp_path / "probe.html").write_text(probe % (width, page), encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    command += ["--dump-dom", f"file://{tmp_path / 'probe.html'}"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    layout = json.loads(re.findall(r'<pre id="o">(.*?)</pre>', dom, flags=re.DOTALL)[-1])
    assert layout["scroll"] <= layout["client"], layout
    assert min(layout["bars"]) > 50
    assert min(layout["svg"]) > 100


def test_checkpoints_of_a_run_have_a_curve(make_record: Any, tmp_path: Path) -> None:
    """Mean and interval of every checkpoint stand beside the line; other rows have no such part."""
    records = [
        make_record(f"epoch_{epoch}", trial, 10.0 * epoch + trial)
        for epoch in (1, 2, 4)
        for trial in range(3)
    ]
    page = render_report(group_trials(records), tmp_path)
    assert "Over the length of pre-training" in page
    assert 'aria-label="bbox/AP over epochs of pre-training"' in page
    assert (
        "18.5 to 23.5" in page
    )  # 21 with half of 2.48: Student's t of two degrees, deviation 1, three trials
    assert "Over the length" not in render_report(group_trials(records[:6]), tmp_path)


def test_the_page_stays_small(make_record: Any, tmp_path: Path) -> None:
    """Twelve suites, eight rows and five trials are a page that goes by mail."""
    records = [
        make_record(f"init{i}", trial, 50.0 + i + trial / 10, f"suite{suite}")
        for suite in range(12)
        for i in range(8)
        for trial in range(5)
    ]
    page = render_report(group_trials(records), tmp_path, reference="init0")
    assert len(page) < 500_000
    assert len(list(parse(page).all("h2"))) == 14


def test_a_row_in_many_suites_is_named_once(make_record: Any, tmp_path: Path) -> None:
    records = [make_record("moco", 0, suite=f"suite{n}") for n in range(5)]
    for record in records:
        record["init_account"] = {"set": 300, "total": 318}
    box = next(parse(render_report(group_trials(records), tmp_path)).all("section", "warnings")).text
    assert "moco in all suites: 300 of 318 tensors were set" in box
    page = render_report(group_trials([*records[:4], make_record("moco", 0, suite="z")]), tmp_path)
    box = next(parse(page).all("section", "warnings")).text
    assert "moco in suite0, suite1, suite2 ... 4 in all: 300 of 318" in box
