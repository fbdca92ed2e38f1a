"""The functions that a program of a user's calls: `from moco_transfer import run, table`.

Each does what a verb of the command does, and raises an error of ours where the command ends with one line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

    from converters.backbone import Backbone
    from results.evidence.compare import Compared
    from results.record import Record
    from results.verify import Verdict

__all__ = [
    "CommandError",
    "compare",
    "convert",
    "load_records",
    "merge",
    "open_checkpoint",
    "publishers",
    "records_frame",
    "report",
    "run",
    "suites",
    "table",
    "verify",
]
PathLike = str | os.PathLike[str]


class CommandError(RuntimeError):
    """Says that a grid did not end well; `code` is the exit code, the reason stands on standard error."""

    def __init__(self, code: int):
        super().__init__(f"the run ended with exit code {code}; the lines on standard error say why")
        self.code = code


def open_checkpoint(path: PathLike, **stated: Any) -> Backbone:
    """Returns the proven backbone in a checkpoint of any known publisher; no code of the file is run.

    Its `weights` are float32 arrays by Detectron2's names, its `manifest` says what they are. `stated`: what
    the file cannot tell, as `source`, `encoder`, `pixel_mean`. CheckpointError says why a file is refused.
    """
    from converters.convert import open_checkpoint as opened

    return opened(path, **stated)


def convert(path: PathLike, output: PathLike, **stated: Any) -> Backbone:
    """Writes the proven backbone as *.pkl for Detectron2, *.pth for torchvision or *.safetensors."""
    from converters.output.export import export
    from converters.output.placing import check_place, choose_target

    target = choose_target(str(output), None)
    check_place(path, output, False)
    return export(open_checkpoint(path, **stated), output, target)


def publishers() -> str:
    """Returns the list of the sources that are known, a line each."""
    from converters.output.inspect import list_sources

    return list_sources()


def suites() -> dict[str, list[str]]:
    """Returns the suites by group; the group `all` has every one."""
    from benchmarks.planning.suite import groups, suite_names

    return {**groups(), "all": suite_names()}


def run(
    suite: str | Sequence[str],
    init: Sequence[str] | Mapping[str, PathLike],
    output: PathLike = "runs",
    overrides: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Record]:
    """Runs suites x inits x trials, goes on with what was begun, and returns the records of `output`.

    init: as on the command line, or labels -> files. options: those of the command with underscores
    (`trials=3, data_root="datasets", smoke=True`). CommandError where it ends with another code than 0.
    """
    from benchmarks.run import main

    inits = [f"{label}={file}" for label, file in init.items()] if isinstance(init, Mapping) else list(init)
    words = ["--suite", *([suite] if isinstance(suite, str) else suite), "--init", *inits]
    words += ["--output", str(output)]
    for name, value in options.items():
        if value is not False and value is not None:
            words.append(f"--{name.replace('_', '-')}")
            words += _words(value)
    for key, value in (overrides or {}).items():
        words += [key, str(value)]
    if code := main(words):
        raise CommandError(code)
    return load_records(output)


def _words(value: Any) -> list[str]:
    """An option's values as words; a flag has none."""
    if value is True:
        return []
    several = isinstance(value, list | tuple)
    return [str(one) for one in value] if several else [str(value)]


def load_records(directory: PathLike = "runs") -> list[Record]:
    """Returns every record of a directory, dictionaries of JSON types; a broken one is a RecordError."""
    from results.store import load_records as loaded

    return loaded(Path(directory))


def records_frame(directory: PathLike = "runs") -> pandas.DataFrame:
    """Returns a line per record and metric, values in per cent, whether they count, and why not."""
    from results.tables.frame import records_frame as framed

    return framed(load_records(directory))


def table(directory: PathLike = "runs", suite: Sequence[str] | None = None, format: str = "md") -> str:
    """Returns the tables of a directory's suites, beside the published rows, as `format`.

    format: one of term, md, latex, csv, html.
    """
    from results.reading import only_suites, read_groups
    from results.tables.formats import FORMATS
    from results.tables.published import load_published
    from results.tables.suite import build_suite_table

    folder, papers = Path(directory), load_published()
    shown = only_suites(read_groups(folder), list(suite) if suite else None, folder)
    tables = [build_suite_table(rows, name, None, True, None, papers) for name, rows in shown.items()]
    return FORMATS[format].write(tables)


def compare(a: str, b: str, directory: PathLike = "runs") -> list[Compared]:
    """Returns a line per suite that has both rows: the gap a - b, its interval, and its test."""
    from results.evidence.compare import compare_suites
    from results.reading import read_groups

    return compare_suites(read_groups(Path(directory)), (a, b), None)


def report(directory: PathLike = "runs", output: PathLike = "report.html") -> Path:
    """Writes one self-contained HTML page and returns its path."""
    from results.output import write_file
    from results.reading import read_groups
    from results.report.page import render_report

    problems: list[str] = []
    groups = read_groups(Path(directory), problems=problems)
    write_file(Path(output), render_report(groups, Path(directory), problems, None), "report.html")
    return Path(output)


def verify(directory: PathLike = "runs") -> Verdict:
    """Returns what is wrong with the records of a directory (`problems`), and what to know (`notes`)."""
    from results.verify import verify as verified

    return verified(Path(directory))


def merge(destination: PathLike, sources: Sequence[PathLike]) -> list[str]:
    """Joins the records of directories into one; returns a line for each clash that it settled."""
    from results.merge import merge as merged

    return list(merged(Path(destination), [Path(source) for source in sources]))
