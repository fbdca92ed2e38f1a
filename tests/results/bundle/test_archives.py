"""Archives made to do harm: one line, exit code 2, and not a byte written."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from results.__main__ import main
from results.bundle import archive
from results.bundle.files import entry_of
from results.bundle.index import index_bytes, make_index, read_index
from results.errors import RecordError

PLAIN = "environment.json"
Members = list[tuple[str, bytes]]


def index_of(members: Members) -> bytes:
    return index_bytes(make_index({name: entry_of(content) for name, content in members}))


def tar(members: Members, **of_last: object) -> bytes:
    """A tar of the members; `of_last`: fields of the header of the last one."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as file:
        for number, (name, content) in enumerate(members):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if number == len(members) - 1:
                for key, value in of_last.items():
                    setattr(info, key, value)
            file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(members: Members, mode: int = 0, packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of the members; `mode` and `packed`: of the last one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for number, (name, content) in enumerate(members):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if number == len(members) - 1:
                info.external_attr, info.compress_type = mode << 16, packed
            file.writestr(info, content)
    return stream.getvalue()


GOOD: Members = [(PLAIN, b"[]\n")]
INDEX = ("index.json", index_of(GOOD))
BIG = ("journal.jsonl", b"\0" * 2**23)
LINK = "is a link"
NO_NAME = "no name of a bundle"
OUTSIDE = ["../x.json", "/tmp/x.json", "records/../../x.json", "records\\x.json", "C:x.json", "cells/a/b.pth"]


CANNOT = "is a name that some disks cannot hold"
_FOLDER = f"cells/a/b-{'0' * 16}/predictions"
LONG = {"wide": f"{_FOLDER}/{'x' * 256}", "long": _FOLDER + f"/{'x' * 250}" * 4, "deep": _FOLDER + "/x" * 33}


def _raw_index(name: str) -> bytes:
    """An index that names it, as nobody of ours writes it."""
    entry = '["' + "0" * 64 + '", 1]'
    return f'{{"form": 1, "sha256": "{"0" * 64}", "files": {{"{name}": {entry}}}}}'.encode()


def _bomb_in_a_header() -> bytes:
    """A header of 20 MB that says how long the next name is."""
    stream = io.BytesIO()
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 * 10**7
    with gzip.open(stream, "wb", 9) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(20):
            file.write(b"a" * 10**6)
    return stream.getvalue()


CASES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    **{
        f"outside {name} {form}": (form, lambda m=make, n=name: m([INDEX, *GOOD, (n, b"x")]), NO_NAME)
        for name in OUTSIDE
        for form, make in ((".tar.gz", tar), (".zip", zipped))
    },
    "outside in the index": (".zip", lambda: zipped([("index.json", _raw_index("../x"))]), NO_NAME),
    "link": (".tar.gz", lambda: tar([INDEX, (PLAIN, b"")], type=tarfile.SYMTYPE, linkname="/x"), LINK),
    "hard link": (".tar.gz", lambda: tar([INDEX, (PLAIN, b"")], type=tarfile.LNKTYPE, linkname="x"), LINK),
    "link in a zip": (".zip", lambda: zipped([INDEX, (PLAIN, b"/etc")], 0o120777), LINK),
    "device": (".tar.gz", lambda: tar([INDEX, (PLAIN, b"")], type=tarfile.CHRTYPE), "is a device"),
    "pipe": (".tar.gz", lambda: tar([INDEX, (PLAIN, b"")], type=tarfile.FIFOTYPE), "is a device"),
    "folder": (".tar.gz", lambda: tar([INDEX, ("cells", b"")], type=tarfile.DIRTYPE), "is a folder"),
    "twice": (".tar.gz", lambda: tar([INDEX, *GOOD, *GOOD]), "is there twice"),
    "two indices": (".tar.gz", lambda: tar([INDEX, INDEX]), "is there twice"),
    "one file on some disks": (
        ".zip",
        lambda: zipped([("index.json", _two_spellings())]),
        "are one file on some disks",
    ),
    "bomb": (".zip", lambda: zipped([("index.json", index_of([BIG])), BIG]), "more than 100 times"),
    "bomb in a tar": (".tar.gz", lambda: tar([INDEX, (PLAIN, BIG[1])]), "holds more than its index says"),
    "bomb beside the index": (".tar.gz", lambda: tar([INDEX, BIG]), "holds more than its index says"),
    "bomb in a header": (".tar.gz", _bomb_in_a_header, "holds more than its index says"),
    "LZMA": (".zip", lambda: zipped([INDEX, *GOOD], packed=zipfile.ZIP_LZMA), "packed otherwise than"),
    "bzip2": (".zip", lambda: zipped([INDEX, *GOOD], packed=zipfile.ZIP_BZIP2), "packed otherwise than"),
    **{
        f"name that is too {kind}": (".zip", lambda n=name: zipped([("index.json", _raw_index(n))]), CANNOT)
        for kind, name in LONG.items()
    },
    "no index": (".tar.gz", lambda: tar(GOOD), "begins with 'environment.json', expected index.json"),
    "empty": (".zip", lambda: zipped([]), "an empty archive"),
    "half": (".tar.gz", lambda: tar([INDEX, *GOOD])[:-20], "not a whole archive"),
    "no archive": (".zip", lambda: b"hello", "not a whole archive"),
    "not JSON": (".zip", lambda: zipped([("index.json", b"{")]), "not the index of a bundle"),
    "deep JSON": (".zip", lambda: zipped([("index.json", b"[" * 10**6)]), "not the index of a bundle"),
    "added": (".zip", lambda: zipped([INDEX, *GOOD, BIG]), "journal.jsonl: not in the index"),
    "gone": (".zip", lambda: zipped([INDEX]), "the file is gone"),
    "longer": (".zip", lambda: zipped([INDEX, (PLAIN, BIG[1])]), "its bytes are not those of the index"),
    "no records": (".zip", lambda: zipped([INDEX, *GOOD]), "no records in"),
}  # fmt: skip


def _two_spellings() -> bytes:
    names = [f"cells/a/b-{'0' * 16}/predictions/{name}.txt" for name in ("Dog", "dog")]
    entries = ", ".join(f'"{name}": ["{"0" * 64}", 1]' for name in names)
    return f'{{"form": 1, "sha256": "", "files": {{{entries}}}}}'.encode()


@pytest.mark.parametrize("case", CASES)
def test_hostile_archives_are_refused_before_anything_is_written(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ending, make, says = CASES[case]
    path = tmp_path / f"theirs{ending}"
    path.write_bytes(make())
    (tmp_path / "tmp").mkdir()
    for size in ("FREE", "LARGEST_INDEX"):  # the same at a hundredth of the size
        monkeypatch.setattr(archive, size, 2**20)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    if case != "no records":  # which is seen in the records, unpacked for that
        monkeypatch.setattr(tempfile, "TemporaryDirectory", lambda **_: pytest.fail("unpacked"))
    assert main(["pull", str(path), str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.rglob("*")) == [path.name, "tmp"]


@pytest.mark.parametrize("entry", [["x", 1], ["0" * 64, -1], ["0" * 64, True], ["0" * 64], 1, [[], 1]])
def test_an_entry_of_an_odd_form_is_refused(entry: object) -> None:
    content = json.dumps({"form": 1, "files": {PLAIN: entry}}).encode()
    with pytest.raises(RecordError, match="x: not the index of a bundle|x: an entry is not a SHA-256"):
        read_index(content, "x")
