"""Reads a large COCO-like JSON file without ever holding all of its annotations as Python objects.

`json.load` of instances_train2017.json makes tens of millions of objects. Here the annotation array is cut
at object borders into pieces of a few megabytes; each piece is parsed, handed over and forgotten. A file that
cannot be cut (no such array at top level, or a border inside a string) is parsed whole, which is slower.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson

from transfer.errors import DataError

PIECE = 4 << 20  # bytes
BOM = b"\xef\xbb\xbf"
_BORDER = re.compile(rb"\}\s*,\s*(?=\{)")


class Sink(Protocol):
    """Takes the array, one piece after another; `booleans` says whether `true` or `false` may be in it.

    Python takes them for numbers. A sink looks for them in its annotations only where the text, which is
    searched a thousand times faster, holds the words.
    """

    def take(self, items: list[Any], booleans: bool) -> None: ...


S = TypeVar("S", bound=Sink)


def read_chunked(path: Path, key: str, new_sink: Callable[[], S]) -> tuple[S, dict[str, Any], bytes]:
    """Parses `path` and feeds the array under top-level `key` to a sink.

    Returns the sink, the rest of the document (with [] under `key`) and the raw bytes, for hashing.
    DataError if the file is not JSON or not an object with that array.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}; expected a readable JSON file") from None
    text = data.removeprefix(BOM)
    with _no_garbage_collection():
        try:
            sink, rest = _in_pieces(text, key, new_sink())
        except (ValueError, RecursionError):
            sink, rest = _in_one(path, text, key, new_sink())
    return sink, rest, data


def _in_one(path: Path, text: bytes, key: str, sink: S) -> tuple[S, dict[str, Any]]:
    document = _loads_or_explain(path, text)
    if not isinstance(document, dict) or not isinstance(document.get(key), list):
        got = (
            f"an object with {sorted(document)[:6]}"
            if isinstance(document, dict)
            else type(document).__name__
        )
        raise DataError(f"{path}: got {got}; expected a JSON object with a list {key!r}")
    sink.take(document[key], _may_hold_booleans(text))
    return sink, document | {key: []}


def _loads_or_explain(path: Path, text: bytes) -> Any:
    try:
        return json.loads(text)
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: not UTF-8 ({e.reason} at byte {e.start}); expected a JSON file") from None
    except (ValueError, RecursionError) as e:
        hints = {
            b"": "it is empty",
            b"<": "it looks like an HTML page",
            b"version https://git-lfs": "it is a Git LFS pointer, not the file",
            b"PK": "it is a zip archive: unpack it",
            b"\x1f\x8b": "it is a gzip archive: unpack it",
        }
        start = text[:64].strip()
        hint = next(
            (h for k, h in hints.items() if (start.startswith(k) if k else not start)), "is it cut off?"
        )
        hint = "it is nested too deeply" if isinstance(e, RecursionError) else hint
        raise DataError(f"{path}: not valid JSON ({e}); {hint}") from None


def _in_pieces(text: bytes, key: str, sink: S) -> tuple[S, dict[str, Any]]:
    """As `_in_one`, but ValueError for anything out of the ordinary."""
    opening = re.search(rb'"%s"\s*:\s*\[' % key.encode(), text)
    if not opening:
        raise ValueError("no array")
    end = opening.end()
    for start, stop in _pieces(text, end):
        if stop > start:
            piece = b"[" + text[start:stop] + b"]"
            sink.take(_parse(piece), _may_hold_booleans(piece))
        end = stop
    rest = json.loads(text[: opening.end()] + text[end:])
    if not isinstance(rest, dict) or rest.get(key) != []:
        raise ValueError("another array than the one at top level was cut")
    return sink, rest


def _pieces(text: bytes, start: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of runs of whole objects; the last one stops at the bracket that closes the array."""
    while True:
        stop = start + PIECE
        borders = list(_BORDER.finditer(text, stop - (PIECE >> 4), stop)) if stop < len(text) else []
        if borders and _closes_late(text, start, borders[-1].start()):
            yield start, borders[-1].start() + 1
            start = borders[-1].end()
            continue
        # One byte is one character in latin-1, so the decoder's position is the position in the file.
        _, length = json.JSONDecoder().raw_decode("[" + text[start : start + 8 * PIECE].decode("latin-1"))
        yield start, start + length - 2
        return


def _closes_late(text: bytes, start: int, stop: int) -> bool:
    """Whether the array goes on beyond `stop`; `"}], "` followed by a key is how an array of objects ends."""
    return re.search(rb"\}\s*\]\s*[,}]\s*(\"|$)", text[start:stop]) is None


def _parse(piece: bytes) -> Any:
    try:
        return orjson.loads(piece)
    except ValueError:  # NaN, which json reads and the checks then report, or an error that json raises too
        return json.loads(piece)


def _may_hold_booleans(text: bytes) -> bool:
    wide = b"\0" in text[:4]  # UTF-16 or UTF-32, which json reads too and where the words look otherwise
    return wide or b"true" in text or b"false" in text


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pauses garbage collection, which doubles the time of parsing and finds nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
