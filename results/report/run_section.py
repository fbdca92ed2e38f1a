"""Builds the parts of the report that need the files beside the records: curves, classes, pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from results.report.charts import Line, line_chart, thin
from results.report.html import details
from results.run_files import read_log, read_per_class, read_samples
from results.tables.escape import html_text
from results.tables.trials import Trials

CURVE_POINTS = 60  # a training's noise is of no interest here
SAMPLES_WIDTH = 1400  # pixels; no page is wider on a screen of twice the density

Cells = Mapping[tuple[str, str], Path]  # (suite, record id) -> directory


def curves(rows: Sequence[Trials], cells: Cells) -> str:
    """Training loss over iterations, a line per row: the mean over its trials, smoothed."""
    lines, read = [], 0
    for row in rows:
        logs = [read_log(cells[key]) for r in row.records if (key := (row.suite, r["id"])) in cells]
        points = [(entry["iteration"], entry["total_loss"]) for log in logs for entry in log]
        if points:
            # equal runs of the points of all trials in order of iteration: means over trials too
            lines.append(Line(row.label, thin(sorted(points), CURVE_POINTS)))
            read += sum(map(bool, logs))
    if not lines:
        return ""
    note = f'<p class="soft">means over trials ({read} runs in all), smoothed; ordered by the last value</p>'
    return "<h3>Training loss</h3>" + line_chart(lines, "iteration", "total loss") + note


def per_class(rows: Sequence[Trials], cells: Cells) -> str:
    """Mean per class over the finished trials that have per_class.json; the best of a class in bold."""
    tables = []
    sums: dict[str, dict[str, dict[str, list[float]]]] = {}
    counts: dict[str, int] = {}
    for row in rows:
        directories = [cells[row.suite, r["id"]] for r in row.finished if (row.suite, r["id"]) in cells]
        found = [values for directory in directories if (values := read_per_class(directory))]
        counts[row.label] = len(found)
        for values in found:
            for metric, classes in values.items():
                for name, value in classes.items():
                    of_class = sums.setdefault(metric, {}).setdefault(name, {})
                    of_class.setdefault(row.label, []).extend([] if value is None else [value])
    labels = [label for label, count in counts.items() if count]
    for metric, of_metric in sums.items():
        body = []
        for name, by_row in of_metric.items():
            means = [sum(v) / len(v) if (v := by_row.get(label)) else None for label in labels]
            best = max((mean for mean in means if mean is not None), default=None)
            fields = "".join(
                f"<td{' class=best' if mean is not None and mean == best and len(labels) > 1 else ''}>"
                + ("-" if mean is None else f"{mean:.1f}")
                + "</td>"
                for mean in means
            )
            body.append(f"<tr><td>{html_text(name)}</td>{fields}</tr>")
        head = "".join(f"<th>{html_text(label)} ({counts[label]})</th>" for label in labels)
        made = f"<thead><tr><th>class</th>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
        table = f'<div class="scroll tall"><table>{made}</table></div>'
        tables.append(details(f"{metric}, {len(of_metric)} classes", table))
    note = '<p class="soft">mean over trials (number of trials), best in bold</p>'
    return "<h3>Per class</h3>" + note + "".join(tables) if tables else ""


def samples(rows: Sequence[Trials], cells: Cells) -> str:
    """One picture per row, of the first trial that has one."""
    figures = []
    for row in rows:
        for record in row.records:
            key = (row.suite, record["id"])
            picture = read_samples(cells[key]) if key in cells else None
            embedded = _embeddable(picture) if picture else None
            if embedded:
                kind, data = embedded
                source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
                caption = html_text(f"{row.label}, trial {record['trial']}")
                figures.append(
                    f"<figure><figcaption>{caption}</figcaption>"
                    f'<img src="{source}" alt="sample predictions of {caption}" loading="lazy"></figure>'
                )
                break
    return "<h3>Sample predictions</h3>" + "".join(figures) if figures else ""


def _embeddable(picture: bytes) -> tuple[str, bytes] | None:
    """The PNG itself or a JPEG of it, whichever is smaller: a report goes by mail. None: a broken one."""
    from PIL import Image

    stream = io.BytesIO()
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
            rgb = image.convert("RGB")
        rgb.thumbnail((SAMPLES_WIDTH, 10 * SAMPLES_WIDTH))
        rgb.save(stream, "JPEG", quality=80, optimize=True)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return min(("png", picture), ("jpeg", stream.getvalue()), key=lambda made: len(made[1]))
