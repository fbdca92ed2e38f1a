"""Five hundred ways to change a bundle: each is found, and none is merged."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from results.bundle.check import verify_bundle
from results.bundle.files import entry_of
from results.bundle.index import index_bytes, make_index
from results.bundle.publish import publish
from results.bundle.pull import pull
from results.errors import RecordError
from tests.results.bundle.conftest import make_runs, sealed

EACH = 42  # of twelve kinds: 504
PLACES = ("records", "journal.jsonl", "cells", "index.json", "manifests", "environment.json")


def _files(bundle: Path, place: str = "") -> list[Path]:
    return sorted(
        p for p in bundle.rglob("*") if p.is_file() and p.relative_to(bundle).as_posix().startswith(place)
    )


def _any(bundle: Path, draw: random.Random) -> Path:
    """A file, of a place that is drawn first: most files are predictions."""
    return draw.choice(_files(bundle, draw.choice(PLACES)))


def flip(bundle: Path, draw: random.Random) -> None:
    path = _any(bundle, draw)
    content = bytearray(path.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut(bundle: Path, draw: random.Random) -> None:
    path = _any(bundle, draw)
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


def lengthen(bundle: Path, draw: random.Random) -> None:
    with _any(bundle, draw).open("ab") as file:
        file.write(draw.choice([b" ", b"\n", b"\0", b"{}\n"]))


def remove(bundle: Path, draw: random.Random) -> None:
    _any(bundle, draw).unlink()


def add(bundle: Path, draw: random.Random) -> None:
    """A file, or a folder without any, which the index could not have."""
    path = _any(bundle, draw)
    target = path.with_name(draw.choice(["x", ".x", "0123456789abcdef.json", "log2.jsonl"]))
    target.mkdir() if draw.random() < 0.3 else target.write_bytes(path.read_bytes())


def rename(bundle: Path, draw: random.Random) -> None:
    path = _any(bundle, draw)
    path.rename(path.with_name(draw.choice(["0123456789abcdef.json", f"{path.name}x", path.name.upper()])))


def swap_files(bundle: Path, draw: random.Random) -> None:
    path = _any(bundle, draw)
    other = draw.choice([one for one in _files(bundle) if one.read_bytes() != path.read_bytes()])
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)


def link(bundle: Path, draw: random.Random) -> None:
    """The same content, from elsewhere: it could be another tomorrow."""
    path = _any(bundle, draw)
    outside = bundle.with_name("outside")
    shutil.copy(path, outside)
    path.unlink()
    os.symlink(outside, path)


def swap_hashes(bundle: Path, draw: random.Random) -> None:
    """In the index, between two files; the hash over all stays or is made anew."""
    path = bundle / "index.json"
    told = json.loads(path.read_text())
    one, two = draw.sample(sorted(told["files"]), 2)
    while told["files"][one] == told["files"][two]:
        one, two = draw.sample(sorted(told["files"]), 2)
    told["files"][one], told["files"][two] = told["files"][two], told["files"][one]
    if draw.random() < 0.5:
        told["sha256"] = "0" * 64
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def reseal(bundle: Path) -> None:
    """Makes the index anew, as somebody does who knows the form."""
    names = [path.relative_to(bundle).as_posix() for path in _files(bundle) if path.name != "index.json"]
    (bundle / "index.json").write_bytes(index_bytes(make_index({n: entry_of(bundle / n) for n in names})))


def better_number(bundle: Path, draw: random.Random) -> None:
    """A number of a record, sealed again: its journal knows other bytes."""
    path = draw.choice(_files(bundle, "records"))
    record = json.loads(path.read_text())
    record["metrics"]["bbox"][draw.choice(["AP", "AP50", "AP75"])] += draw.random()
    path.write_text(json.dumps(record, indent=1) + "\n")
    reseal(bundle)


def other_facts(bundle: Path, draw: random.Random) -> None:
    """Manifest or environment, sealed again: they are not what the records say."""
    path = draw.choice(_files(bundle, draw.choice(["manifests", "environment.json"])))
    text = path.read_text()
    path.write_text(text.replace('"', '"x', 1) if draw.random() < 0.5 else text + " ")
    reseal(bundle)


def other_predictions(bundle: Path, draw: random.Random) -> None:
    """Predictions, classes or the log, sealed again: only who knows the hash over all can tell."""
    path = draw.choice([p for p in _files(bundle, "cells") if p.name != "per_image.npz"])
    path.write_bytes(path.read_bytes() + b"1 0.9 1 2 3 4\n") if draw.random() < 0.5 else path.unlink()
    reseal(bundle)


KINDS = (flip, cut, lengthen, remove, add, rename, swap_files, link, swap_hashes, better_number, other_facts)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two cells, to be copied."""
    root = tmp_path_factory.mktemp("whole")
    list(publish(make_runs(root / "runs", trials=1), root / "bundle"))
    return root / "bundle"


def restore(bundle: Path, content: dict[Path, bytes]) -> None:
    """Makes it what it was: a fresh copy for each change takes five times as long."""
    for path in sorted(bundle.rglob("*"), reverse=True):
        if path.is_symlink() or (path.is_file() and content.get(path) != path.read_bytes()):
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for path, before in content.items():
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(before)


def found(bundle: Path, expected: str | None = None) -> bool:
    try:
        return bool(verify_bundle(bundle, expected)[0].problems)
    except RecordError:
        return True


@pytest.mark.parametrize("kind", [*KINDS, other_predictions], ids=lambda kind: kind.__name__)
def test_every_change_is_found(
    kind: Callable[[Path, random.Random], None], whole: Path, tmp_path: Path
) -> None:
    expected = sealed(whole) if kind is other_predictions else None
    bundle = tmp_path / "bundle"
    shutil.copytree(whole, bundle)
    content = {path: path.read_bytes() for path in _files(bundle)}
    for number in range(EACH):
        assert not found(bundle, expected)
        kind(bundle, random.Random(f"{kind.__name__} {number}"))
        assert found(bundle, expected), number
        if number % 7 == 0:
            with pytest.raises(RecordError):
                list(pull(bundle, tmp_path / "runs", expected))
            assert not (tmp_path / "runs").exists()
        restore(bundle, content)


@pytest.mark.parametrize(
    "told",
    [
        "[" * 10**6,
        "[]",
        '{"at": "", "from": "", "sha256": "0", "records": []}',
        json.dumps({"at": "", "from": "", "sha256": "0" * 64, "records": [1]}),
        json.dumps({"at": "", "from": "", "sha256": "0" * 64, "records": "x"}),
    ],
    ids=("deep", "list", "short", "number", "text"),
)
def test_where_records_came_from_has_a_form(told: str, whole: Path, tmp_path: Path) -> None:
    """Sealed again: verify says it, pull writes nothing, and publish makes no bundle of it."""
    shutil.copytree(whole, tmp_path / "bundle")
    (tmp_path / "bundle" / "pulled.jsonl").write_text(told + "\n")
    reseal(tmp_path / "bundle")
    (problem,) = verify_bundle(tmp_path / "bundle")[0].problems
    assert problem.startswith("pulled.jsonl:1: not a pull, expected at, from, sha256 and records; ")
    with pytest.raises(RecordError, match="pulled.jsonl:1: not a pull"):
        list(pull(tmp_path / "bundle", tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
    shutil.copytree(whole.with_name("runs"), tmp_path / "own")
    (tmp_path / "own" / "pulled.jsonl").write_text(told + "\n")
    with pytest.raises(RecordError, match="pulled.jsonl:1: not a pull"):
        list(publish(tmp_path / "own", tmp_path / "again"))


def test_a_deep_line_that_was_there_stops_no_pull(whole: Path, tmp_path: Path) -> None:
    """The lines of the destination are its own; that of the bundle comes behind."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "pulled.jsonl").write_text("[" * 10**6 + "\n")
    list(pull(whole, tmp_path / "runs"))
    assert sealed(whole) in (tmp_path / "runs" / "pulled.jsonl").read_text().splitlines()[1]


def test_an_archive_gives_what_was_published_or_nothing(whole: Path, tmp_path: Path) -> None:
    """Bytes of an archive that carry no content (times, check sums of headers) may change nothing."""
    list(publish(whole.with_name("runs"), tmp_path / "whole.tar.gz"))
    list(publish(whole.with_name("runs"), tmp_path / "whole.zip"))
    draw, refused = random.Random(0), 0
    for number in range(60):
        source = tmp_path / ("whole.tar.gz" if number % 2 else "whole.zip")
        content = bytearray(source.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path = tmp_path / f"changed{source.suffixes[-1] if number % 2 == 0 else '.tar.gz'}"
        path.write_bytes(content)
        try:
            verdict, sha256 = verify_bundle(path)
        except RecordError:
            refused += 1
        else:
            assert verdict.problems or sha256 == sealed(whole)
            refused += bool(verdict.problems)
    assert refused > 40
