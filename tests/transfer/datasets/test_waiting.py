"""Reading that is slow shows how far it is; quick reading shows nothing."""

import sys
import threading
import time

import pytest

from transfer.datasets import registry
from transfer.datasets import waiting as module
from transfer.datasets.findings import Findings
from transfer.datasets.waiting import progress_line, waiting


def watched(what):
    return any(thread.name == what for thread in threading.enumerate())


def test_the_line_says_what_is_known():
    findings = Findings(deep=True)
    assert progress_line("reading cats", 12.4, 0.0, None) == "reading cats: 12 s"
    assert progress_line("checking cats", 12.4, 0.0, findings) == "checking cats: 12 s"
    findings.to_open, findings.opened = 90, 30
    line = progress_line("checking cats", 20.0, 12.0, findings)
    assert line == "checking cats: 20 s, image 30 of 90, about 24 s left"
    findings.error("missing-image", "a.json", "image id 1", "file_name", "1.jpg", "no such file")
    findings.error("bad-image", "2.jpg", "image 2", "file", None, "cannot be decoded")
    line = progress_line("checking cats", 20.0, 12.0, findings)
    assert line == "checking cats: 20 s, image 30 of 90, 2 files missing or broken, about 24 s left"


def test_what_is_quick_says_nothing(capsys):
    with waiting("reading cats"):
        assert watched("reading cats")
    assert capsys.readouterr().err == ""
    assert not watched("reading cats")


@pytest.mark.parametrize("terminal", [False, True])
def test_what_is_slow_does(capsys, monkeypatch, terminal):
    monkeypatch.setattr(module, "BEAT_S", 0.05)
    monkeypatch.setattr(module, "QUICK_S", 0.05)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with waiting("reading cats"):
        time.sleep(0.5)
    assert "reading cats" in capsys.readouterr().err


def test_other_processes_keep_quiet(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with waiting("reading cats"):
        assert not watched("reading cats")


def test_loading_is_watched(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        registry, "read_dataset", lambda name, *_: seen.append(watched(f"reading {name}")) or 1
    )
    monkeypatch.setattr(registry, "with_image_content", lambda dataset: dataset)
    assert registry.load_dataset("voc_2007_test", tmp_path) == 1
    assert seen == [True]


def test_an_error_ends_the_watch_and_goes_on():
    watch = waiting("reading cats")
    watch.__enter__()
    assert watched("reading cats")
    assert not watch.__exit__(KeyError, KeyError("x"), None), "it is raised again"
    assert not watched("reading cats")
