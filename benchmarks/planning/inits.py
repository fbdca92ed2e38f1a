"""Opens inits: `random`, `supervised`, `msra`, a backbone or a raw checkpoint; `label=` names the row."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning.named_weights import KNOWN, at_hand, cached
from converters.backbone import Backbone, write_proven
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import facts_of, manifest_keys, random_manifest
from transfer.recipes.family import Family

NAMES = ("random", *KNOWN)
LIKE = "random@"  # in front of a row's label: random weights in the shape of that row's network
LABEL = 100  # characters of the longest one


@dataclass(frozen=True)
class Init:
    """One row of the table; `backbone` is None for random initialisation."""

    label: str
    backbone: Backbone | None
    absent: str = ""  # the name of known weights that a dry run does not fetch
    like: Init | None = None  # whose shape and pixels a random row has; None: those of a ResNet-50

    @functools.cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights and what belongs to them, taken once; a plan asks for every suite and trial."""
        assert self.backbone is not None
        return self.backbone.content_sha256()

    def manifest(self, family: Family) -> dict[str, Any]:
        """The facts that are known of the weights, above all shape and pixels of their network."""
        if self.backbone is not None:
            return self.backbone.manifest
        if self.like is None:
            return random_manifest(family)
        shape = facts_of(self.like.manifest(family))
        return {"source": "random", "like": self.like.label, **shape}

    def identity(self, flat_recipe: dict[str, Any]) -> str:
        """Hash of all that moves the numbers: the weights; for `random` the shape and pixels of the net."""
        if self.backbone is not None:
            return self.weights_sha256
        keys = manifest_keys(architecture_of(flat_recipe).family).values()
        facts = {key: flat_recipe[key] for key in keys}
        return hashlib.sha256(json.dumps(["random", facts], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Wanted:
    """An init as it was asked for, not opened yet."""

    label: str
    path: str  # or one of NAMES
    text: str  # what the user wrote
    where: str  # "list.txt:3: ", or nothing for the command line

    @property
    def like(self) -> str:
        """The label of the row whose shape is wanted; nothing where it is no `random@LABEL`."""
        return self.path.removeprefix(LIKE) if self.path.startswith(LIKE) else ""

    @property
    def absent(self) -> bool:
        return self.path not in NAMES and not self.like and not _exists(self.path)


def open_inits(texts: list[str], fetch: bool = True) -> list[Init]:
    """All inits, those of @files too, in the order in which they were asked for.

    Cheap refusals come first: labels, then all files that are not there, then those that are no checkpoints.
    Only then is anything fetched; unless `fetch`, known weights that are not in the cache stay `absent`.
    UsageError or CheckpointError says which init it is, and what to do.
    """
    wanted = [_wanted(text, where) for text, where in _read_lists(texts)]
    _check_labels(wanted)
    _refuse_absent([one for one in wanted if one.absent])
    opened: dict[int, Init] = {}
    for number, one in sorted(enumerate(wanted), key=_turn):
        try:
            if one.like:
                other = next(opened[n] for n, row in enumerate(wanted) if row.label == one.like)
                opened[number] = Init(one.label, None, absent=other.absent, like=other)
            elif not fetch and one.path in KNOWN and not at_hand(one.path):
                opened[number] = Init(one.label, None, absent=one.path)
            else:
                opened[number] = Init(one.label, _open(one.path))
        except (UsageError, CheckpointError) as error:
            raise type(error)(f"{one.where}{error}") from None
    return [opened[number] for number in range(len(wanted))]


def _turn(numbered: tuple[int, Wanted]) -> int:
    """Files come first, then what may have to be fetched, then rows that need another row's shape."""
    return 2 if numbered[1].like else int(numbered[1].path in KNOWN)


def _open(path: str) -> Backbone | None:
    if path == "random":
        return None
    return open_checkpoint(cached(path) if path in KNOWN else path)


def introduction(init: Init) -> Iterator[str]:
    """The lines that tell a user whose weights these are; none for `random` itself."""
    if init.like is not None:
        yield f"init {init.label}: drawn anew for each seed, in shape and pixels like {init.like.label}"
    if init.backbone is None:
        return
    m = init.backbone.manifest
    facts = f"{m['source']}, {m['encoder']} encoder, {m['num_tensors']} tensors, {m['input_format']}"
    yield f"init {init.label}: {facts}"
    for note in m["notes"]:  # the converter's: oddities, and what it decided for the user
        yield f"  {note}"


def _wanted(text: str, where: str) -> Wanted:
    label, _, path = text.rpartition("=")
    name = path if path in NAMES or path.startswith(LIKE) else Path(path).name.split(".")[0]
    return Wanted((label or name).strip(), path, text, where)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name of 300 characters, or one with NUL
        return False


def _check_labels(wanted: Sequence[Wanted]) -> None:
    """A label stands in tables, logs and the name of a folder, so it is one line of visible characters."""
    for one in wanted:
        hidden = next((c for c in one.label if not c.isprintable()), None)
        if hidden is not None:
            raise UsageError(
                f"{one.where}--init: the label {ascii(one.label)} has the character U+{ord(hidden):04X}, "
                "which no table can show; name the row, as in moco=PATH"
            )
        if not one.label or len(one.label) > LABEL:
            raise UsageError(
                f"{one.where}--init: the label {one.label!r:.60} has {len(one.label)} characters; expected 1 "
                f"to {LABEL}; name the row, as in moco=PATH"
            )
        if one.label == "random" and one.path != "random":
            raise UsageError(
                f"{one.where}--init {one.text}: the row `random` is that without weights; give another label"
            )
    shapes = [row.label for row in wanted if not row.like]
    for one in wanted:
        if one.like and one.like not in shapes:
            raise UsageError(
                f"{one.where}--init {one.text}: {LIKE}LABEL takes the shape of a row of the same "
                f"command, and there is none called {one.like!r}; the rows are {', '.join(shapes) or 'none'}"
            )
    for label, count in Counter(one.label for one in wanted).items():
        if count > 1:
            mend = "leave one of them out" if label in NAMES else f"name them, as in {label}2=PATH"
            raise UsageError(f"--init: two rows are called {label!r}; {mend}")


def _refuse_absent(absent: Sequence[Wanted]) -> None:
    says = []
    for one in absent:
        near = difflib.get_close_matches(Path(one.path).name, NAMES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        if "://" in one.path or ":" in one.path.split("/")[0]:
            hint = "; an address is not fetched: download it first, and give the file"
        says.append(f"{one.where}--init {one.text}: no such file, and not a name{hint}")
    if says:
        expected = f"expected a checkpoint, a converted backbone or one of {', '.join(NAMES)}"
        raise UsageError(f"{'; '.join(says)}; {expected}")


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
                known = path in NAMES or path.startswith(LIKE) or Path(path).is_absolute()
                found.append(
                    (f"{label}{equals}{path if known else file.parent / path}", f"{file}:{number}: ")
                )
    if not found:
        raise UsageError(
            f"--init {' '.join(texts)}: no init; expected one a line, as in moco=moco_v1.pth.tar"
        )
    return found


def store_backbone(init: Init, directory: Path) -> Path | None:
    """The backbone as a file that a run can load; written once, named by its content."""
    if init.backbone is None:
        return None
    path = directory / f"{slug(init.label)}-{init.weights_sha256[:12]}.pkl"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        # Proven and hashed when it was opened; the cell that loads the file proves it again.
        write_proven(init.backbone, path, init.weights_sha256)
    return path


def slug(label: str) -> str:
    """A label as part of a file name: letters and digits of any script, and . _ - ; at most 200 bytes."""
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", label)).strip("_")
    return name.encode()[:200].decode(errors="ignore") or "init"
