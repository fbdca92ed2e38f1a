"""Opens an init that is a user's own code, `own:FILE.py:CALLABLE[:WEIGHTS]`, before anything is planned.

It is an init and no option of the command, so that one grid has several of them, each with its label, its
weights and `random@LABEL` beside it. The module is built and tried in a process of its own; this one never
runs the code.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning import own_child
from benchmarks.planning.download import file_sha256
from transfer.datasets.waiting import waiting
from transfer.recipes.facts_of_weights import PIXELS, random_manifest
from transfer.recipes.own import OWN

PREFIX = "own:"  # in front of such a name, as an init
FORM = f"{PREFIX}FILE.py:CALLABLE[:WEIGHTS]"
UNPROVEN = "unproven"  # where a manifest of weights that were converted says `certified`, or nothing: proven
LONGEST = 900  # seconds that the trial may take


@dataclass(frozen=True)
class Named:
    """An own code as the user named it."""

    file: str
    callable: str
    weights: str  # a path, or nothing

    @property
    def text(self) -> str:
        return PREFIX + ":".join(filter(None, (self.file, self.callable, self.weights)))

    def within(self, folder: Path) -> Named:
        """The same with paths that begin in the folder, unless they are absolute."""
        return Named(str(folder / self.file), self.callable, self.weights and str(folder / self.weights))


def parse(path: str) -> Named:
    """Reads `own:FILE.py:CALLABLE[:WEIGHTS]`. UsageError for anything else."""
    found = re.fullmatch(rf"{PREFIX}(.+?\.py):([A-Za-z_]\w*)(?::(.+))?", path, re.DOTALL)
    if found is None:
        raise UsageError(f"--init {path}: expected {FORM}, as in mine=own:mine.py:build:weights.pth")
    return Named(found[1], found[2], found[3] or "")


@dataclass(frozen=True)
class OwnCode:
    """A user's module that was tried; `manifest` has its facts, as that of a converted file has."""

    file: Path
    weights: Path | None
    manifest: dict[str, Any]

    @property
    def place(self) -> dict[str, str]:
        """All that a cell's process must know to run it, on this machine."""
        weights = str(self.weights.absolute()) if self.weights else ""
        return {"file": str(self.file.absolute()), "weights": weights}

    @property
    def loads_itself(self) -> bool:
        """Whether its callable gives most of the weights, so that no seed draws them."""
        return self.weights is None and bool(self.manifest["loads_itself"])

    def bare(self, label: str) -> OwnCode:
        """The same module without weights, as the callable draws it. UsageError where that draws nothing."""
        drawn = {**self.manifest, "weights_sha256": self.manifest["kept_sha256"], "source": "random"}
        if self.loads_itself:
            raise UsageError(
                f"--init {label}: {self.manifest['code']} gives mostly the same numbers for every seed, so "
                f"it loads its weights by itself: name them, {FORM}, and let it return the module alone"
            )
        return OwnCode(self.file, None, drawn)


def open_code(path: str) -> OwnCode:
    """Tries the module that `path` names, in a child. UsageError with what is wrong, in one line."""
    named = parse(path)
    file, weights = Path(named.file), Path(named.weights) if named.weights else None
    for each in (file, weights):
        if each is not None and not each.is_file():
            raise UsageError(f"--init {path}: {each}: no such file")
    answer = _tried(file.absolute(), named, path)
    usual = random_manifest(OWN)
    told = {key: answer.pop(key, usual[key]) for key in PIXELS}
    sources = answer["sources"]
    answer["weights_sha256"] = file_sha256(weights) if weights else answer["kept_sha256"]
    notes = (
        [] if told != {key: usual[key] for key in PIXELS} else ["pixels are not stated: ImageNet's are taken"]
    )
    manifest = {
        "source": "own code",
        "family": OWN.in_manifest,
        "standing": UNPROVEN,
        "code": f"{file.name}:{named.callable}",
        **answer,
        **told,
        "source_file": weights.name if weights else "",
        "notes": [*notes, *_notes(answer, weights)],
    }
    assert sources, "the file itself is one of them"
    return OwnCode(file, weights, manifest)


def _tried(file: Path, named: Named, path: str) -> dict[str, Any]:
    """The answer of the trial's process."""
    with tempfile.TemporaryDirectory() as folder, waiting(f"trying {named.text}"):
        out = Path(folder) / "answer.json"
        weights = str(Path(named.weights).absolute()) if named.weights else ""
        job = {"file": str(file), "callable": named.callable, "weights": weights, "out": str(out)}
        process = get_context("spawn").Process(target=own_child.main, args=(job,))
        process.start()
        process.join(LONGEST)
        if process.is_alive():
            process.kill()
            raise UsageError(f"--init {path}: its trial did not end within {LONGEST} s")
        if not out.is_file():
            raise UsageError(f"--init {path}: its trial ended with code {process.exitcode}, see above")
        answer: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    if "error" in answer:
        raise UsageError(f"--init {path}: {answer['error']}")
    return answer


def _notes(answer: dict[str, Any], weights: Path | None) -> Iterator[str]:
    """Tells what a user should know of a module that is right in itself."""
    total, drawn = answer["num_tensors"], answer["drawn_tensors"]
    if weights is None and answer["loads_itself"]:
        yield f"its callable loads weights by itself: {total - drawn} of {total} tensors have no seed"
    elif weights is None:
        yield "it has no weights: it is drawn anew for each seed"
    if answer["trainable"] < answer["parameters"]:
        yield f"it trains {answer['trainable']} of its {answer['parameters']} parameters, as the code says"


def introduce(label: str, code: OwnCode) -> Iterator[str]:
    """The lines that tell a user what was found of his code."""
    m = code.manifest
    columns = zip(m["maps"], m["channels"], m["strides"], strict=True)
    maps = ", ".join(f"{name} ({channels} channels, stride {stride})" for name, channels, stride in columns)
    yield (
        f"init {label}: own code {m['code']}, unproven, {m['parameters'] / 1e6:.2f}M parameters, "
        f"{m['input_format']}, maps {maps}"
    )
    for note in m["notes"]:
        yield f"  {note}"
