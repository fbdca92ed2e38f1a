"""Defines what a bundle is: the files that it may hold, and the index that seals them.

    index.json                        {"form": 1, "sha256": over all, "files": {name: [SHA-256, bytes], ...}}
    records/<suite>/<id>.json         as they were written; journal.jsonl and pulled.jsonl beside them
    cells/<suite>/<init>-<id>/        log.jsonl, per_class.json, per_image.npz, tide.json, predictions/
    manifests/<id>.json               of the backbones, without weights
    environment.json                  what the records were made with

The hash over all is that of the lines "SHA-256 bytes name", sorted by name. Whoever has it from elsewhere
knows that nothing was changed; the index by itself tells accidents and edits of the files beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from results.errors import RecordError

INDEX, FORM = "index.json", 1
ENVIRONMENT, PULLED = "environment.json", "pulled.jsonl"
PREDICTIONS = "predictions"
BESIDE = ("log.jsonl", "per_class.json", "per_image.npz", "tide.json")
# A name is of one of these places. No part begins with a dot, so none leads out of the bundle.
_PART = r"[^./\\:\0][^/\\:\0]*"
_PLACES = re.compile(
    rf"records/{_PART}/[0-9a-f]{{16}}\.json|journal\.jsonl|{re.escape(PULLED)}|{re.escape(ENVIRONMENT)}"
    rf"|manifests/[0-9a-f]{{16}}\.json"
    rf"|cells/{_PART}/{_PART}-[0-9a-f]{{16}}/({'|'.join(map(re.escape, BESIDE))}|{PREDICTIONS}(/{_PART})+)"
)
LONGEST_PART, LONGEST, DEEPEST = 255, 1024, 32  # bytes, bytes, folders: what common disks can hold
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Entry:
    """One file as the index has it."""

    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class Index:
    """All files of a bundle by name, sorted, without the index itself; and the hash over all."""

    files: Mapping[str, Entry]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())


def make_index(files: Mapping[str, Entry]) -> Index:
    """The index of the files. RecordError: a name that no bundle may hold."""
    ordered = dict(sorted(files.items()))
    spelled: dict[str, str] = {}
    for name in ordered:
        if not _PLACES.fullmatch(name) or not name.isprintable():
            raise RecordError(f"{name!r} is no name of a bundle's file; see results/bundle/index.py")
        longest = max(len(part.encode()) for part in name.split("/"))
        if longest > LONGEST_PART or len(name.encode()) > LONGEST or name.count("/") > DEEPEST:
            told = f"expected {LONGEST_PART} bytes a part, {LONGEST} in all, {DEEPEST} folders at most"
            raise RecordError(f"{name[:60]!r}... is a name that some disks cannot hold; {told}; rename it")
        # two names that are one file on some disks: case, or accents as one character or two
        plain = unicodedata.normalize("NFC", name).casefold()
        if plain in spelled:
            raise RecordError(f"{name!r} and {spelled[plain]!r} are one file on some disks; rename one")
        spelled[plain] = name
    for name in spelled:
        above = name.rpartition("/")[0]
        while above:
            if above in spelled:
                raise RecordError(f"{spelled[above]!r} is a file and a folder, of {spelled[name]!r}")
            above = above.rpartition("/")[0]
    lines = "".join(f"{entry.sha256} {entry.size} {name}\n" for name, entry in ordered.items())
    return Index(ordered, hashlib.sha256(lines.encode()).hexdigest())


def index_bytes(index: Index) -> bytes:
    """The index as its file: one spelling for one content."""
    files = {name: [entry.sha256, entry.size] for name, entry in index.files.items()}
    content = {"form": FORM, "sha256": index.sha256, "files": files}
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def read_index(content: bytes, where: str) -> Index:
    """The index in a file. RecordError, opened by `where`: altered, or a name that leads elsewhere."""
    try:
        told = json.loads(content)
        form, files = told["form"], told["files"]
        if form != FORM:
            raise RecordError(f"{where}: form {form!r} of a bundle; expected {FORM}: update moco-transfer")
        entries = {name: Entry(*entry) for name, entry in files.items()}
        good = all(_is_entry(entry) for entry in entries.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{where}: not the index of a bundle ({type(error).__name__})") from None
    if not good:
        raise RecordError(f"{where}: an entry is not a SHA-256 and a number of bytes; fetch the bundle again")
    try:
        index = make_index(entries)
    except RecordError as error:
        raise RecordError(f"{where}: {error}") from None
    if told.get("sha256") != index.sha256 or index_bytes(index) != content:
        raise RecordError(
            f"{where}: altered, its files do not give the hash over all; fetch the bundle again"
        )
    return index


def is_sha256(value: object) -> bool:
    """Whether it is a SHA-256 as we write it: 64 hexadecimal digits."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _is_entry(entry: Entry) -> bool:
    return is_sha256(entry.sha256) and type(entry.size) is int and entry.size >= 0
