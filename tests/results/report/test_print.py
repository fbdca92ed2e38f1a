"""The report on paper, by a real browser: nothing lies beyond the edge, what is folded is open."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from results.report.page import render_report
from results.tables.trials import group_trials
from tests.results.report.test_page import BROWSER, FLAGS

PDF_TEXT = shutil.which("pdftotext")
SUITES = [f"a_long_name_{n}" for n in range(20)]


@pytest.mark.skipif(BROWSER is None or PDF_TEXT is None, reason="no Chromium or no pdftotext (poppler-utils)")
def test_many_suites_fit_on_paper(make_record: Any, tmp_path: Path) -> None:
    inits = ("supervised", "moco", "a_row_with_a_very_long_name_of_its_own")
    records = [
        make_record(init, trial, 50.0 + 3 * n + trial / 10 * (1 + n), suite)
        for suite in SUITES
        for n, init in enumerate(inits)
        for trial in range(3)
    ]
    (tmp_path / "page.html").write_text(render_report(group_trials(records), tmp_path), encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--no-pdf-header-footer"]
    command += [f"--print-to-pdf={tmp_path / 'page.pdf'}", f"file://{tmp_path / 'page.html'}"]
    subprocess.run(command, capture_output=True, timeout=180, check=True)
    told = subprocess.run(
        [str(PDF_TEXT), "-bbox", str(tmp_path / "page.pdf"), "-"], capture_output=True, text=True, check=True
    ).stdout
    pages = told.split("<page ")[1:]
    for number, page in enumerate(pages, 1):
        wide = float(re.findall(r'width="([\d.]+)"', page)[0])
        ends = [(float(x), word) for x, word in re.findall(r'xMax="([\d.]+)"[^>]*>([^<]*)<', page)]
        beyond = [word for x, word in ends if x > wide]
        assert not beyond, f"page {number}: {beyond[:5]}"
    gaps = pages[0].partition("Suite")[0]
    assert gaps.count("▲") >= 2 * len(SUITES), "every column of the first table is there"
    assert ">Full<" in told, "what is folded on the screen is printed"
