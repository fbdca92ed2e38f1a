"""The parts of the report that need what runs leave beside their records: curves, classes, pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from results.cells import read_log, read_per_class, read_samples
from results.charts import Line, line_chart
from results.escape import html_text
from results.page import details
from results.trials import Trials

CURVES = 40  # lines in one chart; more cannot be told apart
SAMPLES_BYTES = 1_500_000  # a larger picture is embedded smaller, as JPEG

Cells = Mapping[tuple[str, str], Path]  # (suite, record id) -> directory


def curves(rows: Sequence[Trials], cells: Cells) -> str:
    """Training loss over iterations; every trial is a line in the colour of its row."""
    # first trials of all rows before second trials of any: the cut at CURVES must not drop a row
    chosen = sorted(
        ((i, row, record) for row in rows for i, record in enumerate(row.records)), key=lambda item: item[0]
    )
    with_log = [(row, cells[key]) for _, row, record in chosen if (key := (row.suite, record["id"])) in cells]
    lines = []
    for row, directory in with_log[:CURVES]:
        points = [(entry["iteration"], entry["total_loss"]) for entry in read_log(directory)]
        if points:
            lines.append(Line(row.label, points))
    if not lines:
        return ""
    cut = f'<p class="soft">{CURVES} of {len(with_log)} runs shown</p>' if len(with_log) > CURVES else ""
    return "<h3>Training loss</h3>" + line_chart(lines, "iteration", "total loss") + cut


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
            if picture:
                kind, data = _embeddable(picture)
                source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
                caption = html_text(f"{row.label}, trial {record['trial']}")
                figures.append(
                    f'<figure><img src="{source}" alt="sample predictions of {caption}">'
                    f"<figcaption>{caption}</figcaption></figure>"
                )
                break
    return "<h3>Sample predictions</h3>" + "".join(figures) if figures else ""


def _embeddable(picture: bytes) -> tuple[str, bytes]:
    """The PNG itself, or a smaller JPEG of a large one: the page has to open on a phone."""
    if len(picture) <= SAMPLES_BYTES:
        return "png", picture
    from PIL import Image

    stream = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.thumbnail((1600, 4000))
        image.convert("RGB").save(stream, "JPEG", quality=85)
    return "jpeg", stream.getvalue()
