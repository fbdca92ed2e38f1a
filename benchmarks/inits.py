"""Inits: `random`, `supervised`, `msra`, a converted backbone or a raw checkpoint; `label=` names the row."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.weights import KNOWN, cached
from converters.backbone import Backbone, save_backbone
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from transfer.config import MANIFEST_KEYS

NAMES = ("random", *KNOWN)


@dataclass(frozen=True)
class Init:
    """One row of the table; `backbone` is None for random initialisation."""

    label: str
    backbone: Backbone | None

    def identity(self, flat_recipe: dict[str, Any]) -> str:
        """What of the init moves the numbers: the weights; for `random` the shape and pixels of the net."""
        if self.backbone is not None:
            return self.backbone.content_sha256()
        facts = {key: flat_recipe[key] for key in MANIFEST_KEYS.values()}
        return hashlib.sha256(json.dumps(["random", facts], sort_keys=True).encode()).hexdigest()


def open_init(text: str) -> Init:
    """`label=PATH`, `PATH` or a name, opened and proven; UsageError or CheckpointError with the reason."""
    label, _, path = text.rpartition("=")
    if path == "random":
        return Init(label or path, None)
    if path in KNOWN:
        return Init(label or path, open_checkpoint(cached(path)))
    if not Path(path).exists():
        near = difflib.get_close_matches(Path(path).name, NAMES, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"--init {text}: no such file, and not a name; {hint}Expected a checkpoint, a converted backbone "
            f"or one of {', '.join(NAMES)}"
        )
    return Init(label or Path(path).name.split(".")[0], open_checkpoint(path))


def open_inits(texts: list[str]) -> list[Init]:
    """All inits, those of @files too; two rows must not share a label."""
    inits = []
    for text, where in _read_lists(texts):
        try:
            inits.append(open_init(text))
        except (UsageError, CheckpointError) as error:
            raise type(error)(f"{where}{error}") from None
    for init in inits:
        if init.backbone is not None:
            m = init.backbone.manifest
            facts = f"{m['source']}, {m['encoder']} encoder, {m['num_tensors']} tensors, {m['input_format']}"
            print(f"init {init.label}: {facts}", file=sys.stderr)
            for note in m["notes"]:  # what the converter found odd, or decided for the user
                print(f"  {note}", file=sys.stderr)
    labels = [init.label for init in inits]
    for label in labels:
        if labels.count(label) > 1:
            raise UsageError(f"--init: two rows are called {label!r}; name them, as in {label}2=PATH")
    return inits


def _read_lists(texts: list[str]) -> list[tuple[str, str]]:
    """(init, "file:line: " or nothing); paths in a list are relative to the list, # begins a comment."""
    found = []
    for text in texts:
        if not text.startswith("@"):
            found.append((text, ""))
            continue
        file = Path(text[1:])
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "no UTF-8 text"
            raise UsageError(f"--init {text}: cannot be read ({why})") from None
        for number, line in enumerate(lines, start=1):
            entry = re.sub(r"(^|\s)#.*", "", line).strip()
            if entry:
                label, equals, path = (part.strip() for part in entry.rpartition("="))
                known = path in NAMES or Path(path).is_absolute()
                found.append(
                    (f"{label}{equals}{path if known else file.parent / path}", f"{file}:{number}: ")
                )
    if not found:
        raise UsageError(
            f"--init {' '.join(texts)}: no init; expected one a line, as in moco=moco_v1.pth.tar"
        )
    return found


def store(init: Init, directory: Path) -> Path | None:
    """The backbone as a file that a run can load; written once, named by its content."""
    if init.backbone is None:
        return None
    path = directory / f"{slug(init.label)}-{init.backbone.content_sha256()[:12]}.pkl"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        save_backbone(init.backbone, path)
    return path


def slug(label: str) -> str:
    """A label as part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", label).strip("_") or "init"
