"""`python -m transfer.datasets`: reports on data sets, lists, generation, errors in one line."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.transfer.datasets.voc_kit import voc_xml, write_voc
from transfer.datasets.check import main

REPOSITORY = Path(__file__).resolve().parents[3]


def test_report_lists_every_finding_on_a_line(tmp_path, capsys):
    images = {f"{i:06d}": (50, 50, [("dog", 1, 1, 20, 20, 0)]) for i in range(10)}
    kit = write_voc(tmp_path, images, real=True)
    for i in range(7):
        xml = voc_xml(
            f"{i:06d}", 50, 50, [("dog", 5, 5, 5, 20, 0), ("dgo", 0, 1, 20, 20, 0), ("cat", 0, 1, 9, 9, 0)]
        )
        (kit / "Annotations" / f"{i:06d}.xml").write_text(xml)
    assert main(["check", "voc_2007_test", "--data-root", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "empty-box: 7" in out
    assert "unknown-class: 7" in out
    assert "box-one-pixel-outside: 7" in out
    assert len(re.findall(r"^    000\d+\.xml|^    Annotations/000\d+\.xml", out, re.M)) == 21  # seven of each
    assert out.endswith("not usable: mend the errors\n")


def test_report_on_a_good_data_set(tmp_path, capsys):
    write_voc(tmp_path, {"a": (50, 50, [("dog", 1, 1, 20, 20, 0)])}, real=True)
    assert main(["check", "voc_2007_test", "--data-root", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"name": "voc_2007_test", "errors": {}, "odd": {}}


@pytest.mark.parametrize(
    "arguments", [["check", "voc_2007_tst"], ["check", "voc_2007_test"], ["synthetic", "imagenet"]]
)
def test_errors_are_one_line_and_exit_2(tmp_path, capsys, arguments):
    assert main([*arguments, "--data-root", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_data_root_comes_from_the_environment(tmp_path, capsys, monkeypatch):
    write_voc(tmp_path, {"a": (50, 50, [("dog", 1, 1, 20, 20, 0)])}, real=True)
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    assert main(["check", "voc_2007_test"]) == 0
    capsys.readouterr()


def test_synthetic_then_check_and_list(tmp_path, capsys):
    size = ["--train-images", "2", "--test-images", "1", "--image-size", "64"]
    assert main(["synthetic", "voc_2007_test", *size, "--data-root", str(tmp_path)]) == 0
    assert main(["check", "voc_2007_test", "--data-root", str(tmp_path)]) == 0
    assert main(["list"]) == 0
    assert "cityscapes_fine_sem_seg_val" in capsys.readouterr().out


def test_help_is_quick_and_imports_nothing_heavy():
    code = "import sys; sys.argv = ['x', '--help']\nimport transfer.datasets.check as check\n"
    code += "try: check.main()\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'PIL', 'pycocotools', 'cv2', 'matplotlib'} & set(sys.modules)"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 10  # under a second on a quiet machine
