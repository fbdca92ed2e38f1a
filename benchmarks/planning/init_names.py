"""Reads what `--init` says: label and path of each row, lists of them; refuses what cannot be meant."""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.planning import address, hub_names, own_code, pretrainings
from benchmarks.planning.named_weights import KNOWN
from converters.containers.remote import BY_NAME
from converters.networks.sizes import LIKE, RANDOM
from results.record import SEED_MARK

NAMES = ("random", *KNOWN)
FORMS = (*NAMES, "random@LABEL", f"{RANDOM}SIZE", *BY_NAME, address.FORM, own_code.FORM)
LABEL = 100  # characters of the longest one


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
    def is_pattern(self) -> bool:
        """Whether it is of files, one for each trial's seed."""
        named = self.on_hub or self.is_code or self.is_address or self.path.startswith((LIKE, RANDOM))
        return not named and pretrainings.is_pattern(self.path)

    @property
    def on_hub(self) -> bool:
        """Whether it is a name of the hub; a file of that path comes first."""
        return hub_names.is_hub_name(self.path) and not _exists(self.path)

    @property
    def is_code(self) -> bool:
        """Whether it is the user's own code, which is looked for when it is opened."""
        return self.path.startswith(own_code.PREFIX)

    @property
    def is_address(self) -> bool:
        """Whether it is an address of the web."""
        return address.is_address(self.path)

    @property
    def absent(self) -> bool:
        drawn = self.path in NAMES or self.path.startswith((LIKE, RANDOM))
        return not (drawn or self.on_hub or self.is_code or self.is_address or _exists(self.path))


def read_inits(texts: Sequence[str]) -> list[Wanted]:
    """All inits, those of @files too, in the order in which they were asked for.

    UsageError for a label that no table can show, for two of one name, for files that are not there, and for
    `{seed}` in what is no file.
    """
    wanted = [_wanted(text, where) for text, where in _read_lists(texts)]
    _check_labels(wanted)
    _check_patterns(wanted)
    _refuse_absent([one for one in wanted if one.absent])
    return wanted


def _wanted(text: str, where: str) -> Wanted:
    label, path = _split(text)
    if not path.strip():
        raise UsageError(f"{where}--init {text!r}: no path behind the label; expected moco=PATH")
    if path in NAMES or path.startswith((LIKE, RANDOM)):
        name = path
    elif path.startswith(own_code.PREFIX):
        name = Path(own_code.parse(path).file).stem
    elif address.is_address(path):
        name = address.file_of(path).split(".")[0]
    elif hub_names.is_hub_name(path) and not _exists(path):
        name = hub_names.label_of(path)
    elif pretrainings.is_pattern(path):
        name = pretrainings.label_of(path)
    else:
        name = Path(path).name.split(".")[0]
    return Wanted((label or name).strip(), path, text, where)


def _split(text: str, folder: str = "") -> tuple[str, str]:
    """Splits `label=path` at the sign behind which there is a file or a name; either may have such signs.

    So may facts of a `random:`, own code and addresses. `folder`: from where paths are looked for.
    """
    begins = rf"{RANDOM}|{own_code.PREFIX}|(?i:https?://)"
    sized = re.fullmatch(rf"(?:(.*?)=)?((?:{begins}).*)", text, re.DOTALL)
    if sized is not None:
        return sized[1] or "", sized[2]
    if _is_meant(text, folder):
        return "", text
    cuts = [place for place, character in enumerate(text) if character == "="]
    cut = next((cut for cut in cuts if _is_meant(text[cut + 1 :], folder)), cuts[0] if cuts else -1)
    return text[: max(0, cut)], text[cut + 1 :]


def _is_meant(path: str, folder: str) -> bool:
    """Whether it is a name, or a file that is there (epoch=9.ckpt)."""
    if path in NAMES or path.startswith(LIKE) or hub_names.is_hub_name(path):
        return True
    return bool(path) and _exists(os.path.join(folder, path))


def _exists(path: str) -> bool:
    """Whether there is such a file, or one of such a pattern."""
    return pretrainings.there(path) or (SEED_MARK in path and bool(pretrainings.seeds_there(path)))


def _check_patterns(wanted: Sequence[Wanted]) -> None:
    for one in wanted:
        if SEED_MARK in one.path and (one.on_hub or one.is_code or one.is_address):
            raise UsageError(
                f"{one.where}--init {one.text}: {SEED_MARK} stands for a trial's seed in the names of files, "
                f"and this is none; give checkpoints, as in moco=runs/moco_s{SEED_MARK}.pth.tar"
            )


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
            hint = "; such an address is not fetched: download it first, and give the file"
        what = "no such file, and not a name"
        if one.path != one.text:
            what += f" (label {one.label!r}, path {one.path!r})"
        if SEED_MARK in one.path:
            what = f"no file has a number in place of {SEED_MARK}"
        says.append(f"{one.where}--init {one.text}: {what}{hint}")
    if says:
        expected = f"expected a checkpoint, a converted backbone or one of {', '.join(FORMS)}"
        raise UsageError(f"{'; '.join(says)}; {expected}")


def _read_lists(texts: Sequence[str]) -> list[tuple[str, str]]:
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
                found.append((_from_list(entry, file.parent), f"{file}:{number}: "))
    if not found:
        raise UsageError(
            f"--init {' '.join(texts)}: no init; expected one a line, as in moco=moco_v1.pth.tar"
        )
    return found


def _from_list(entry: str, folder: Path) -> str:
    """An init of a list, its path made relative to the list's folder where it is one."""
    label, path = (part.strip() for part in _split(entry, str(folder)))
    if path.startswith(own_code.PREFIX):
        path = own_code.parse(path).within(folder).text
        return f"{label}={path}" if label else path
    named = path in NAMES or path.startswith((LIKE, RANDOM)) or Path(path).is_absolute()
    named = named or address.is_address(path)
    if not named and not (hub_names.is_hub_name(path) and not _exists(str(folder / path))):
        path = str(folder / path)
    return f"{label}={path}" if label else path
