"""Draws how trainings went: losses over iterations, and the metric over lengths of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.report.html import details, text_table
from results.report.lines import Line, line_chart, thin
from results.report.shown import Shown
from results.run_files import read_log
from results.tables.lengths import Curve, length_curves, mean_interval, schedule_curves

CURVE_POINTS = 60  # a training's noise is of no interest here
TOTAL = "total_loss"
Logs = Mapping[str, Sequence[Mapping[str, float]]]  # row -> the lines of all its trials, by iteration


def losses(suite: str, shown: Shown) -> str:
    """The total loss over iterations, a line per row, the mean over its trials; its parts are folded."""
    logs, read = {}, 0
    for row in shown.suites[suite]:
        of_row = [read_log(shown.cells[key]) for r in row.records if (key := (suite, r["id"])) in shown.cells]
        read += sum(map(bool, of_row))
        # equal runs of the points of all trials in order of iteration: means over trials too
        logs[row.label] = sorted((e for log in of_row for e in log), key=lambda entry: entry["iteration"])
    names = dict.fromkeys(name for log in logs.values() for entry in log for name in entry)
    parts = [name for name in names if name.startswith("loss")]
    chart = _loss_chart(logs, TOTAL, shown)
    if not chart:
        return ""
    note = f'<p class="soft">means over trials ({read} runs in all), smoothed, with their last values</p>'
    charts = [details(name, drawn) for name in parts if (drawn := _loss_chart(logs, name, shown))]
    return f"<h3>Training loss</h3>{chart}{note}{''.join(charts) if len(charts) > 1 else ''}"


def _loss_chart(logs: Logs, name: str, shown: Shown) -> str:
    lines = [
        Line(label, thin([(e["iteration"], e[name]) for e in log if name in e], CURVE_POINTS))
        for label, log in logs.items()
    ]
    return line_chart(lines, "iteration", name.replace("_", " "), shown.looks)


def over_pretraining(suite: str, shown: Shown) -> str:
    """The primary metric over the length of pre-training, a line per run, where checkpoints are rows."""
    curves = length_curves({suite: shown.suites[suite]}, {})
    drawn = "".join(map(_curve, curves))
    return f"<h3>Over the length of pre-training</h3>{drawn}" if drawn else ""


def over_schedules(shown: Shown) -> str:
    """The primary metric over the length of fine-tuning, for suites that differ in their schedule alone."""
    parts = [f"<h4>{curve.title}</h4>{_curve(curve, shown)}" for curve in schedule_curves(shown.suites)]
    return f"<h3>Over the length of fine-tuning</h3>{''.join(parts)}" if parts else ""


def _curve(curve: Curve, shown: Shown | None = None) -> str:
    """The means as lines, and with their intervals as a table."""
    lines, numbers = [], []
    for label, points in curve.lines.items():
        found = [(p, made) for p in points if (made := mean_interval(p.row, curve.metric))]
        lines.append(Line(label, [(point.x, mean) for point, (mean, _, _) in found]))
        for point, (mean, half, trials) in found:
            ends = f"{mean - half:.1f} to {mean + half:.1f}" if half else "-"
            numbers.append([point.row.label, f"{point.x:g}", f"{mean:.1f}", ends, str(trials)])
    heads = ["row", curve.x_name, curve.metric, "95 % interval over trials", "trials"]
    look = shown.looks if shown and all(label in shown.looks for label in curve.lines) else None
    chart = line_chart(lines, curve.x_name, curve.metric, look)
    return chart + details("The numbers, with their intervals", text_table(heads, numbers))
