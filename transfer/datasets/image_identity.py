"""Hashes the images of a data set: every byte is read once, and only changed files are read again.

A file that was hashed is not read again while its size, its times (of content and of inode) and its inode
stay. Hashes are kept in the user's cache, one small file for each folder of images. Those of files written in
the last seconds are not kept: clocks of file systems are coarse, and such a file may be written once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from transfer.datasets.base import Dataset, Truth
from transfer.datasets.images import check_header, of_each
from transfer.datasets.records import column
from transfer.errors import DataError
from transfer.process.cache import cache_folder

KEEP_FROM = 64 << 20  # bytes read; fewer are read again as fast as they are looked up,
KEEP_FILES = 1000  # but for so many files
SHOW_FROM = 1 << 30  # bytes to read from which progress is shown
AT_ONCE = 500  # files that a thread looks at before it reports
SETTLED_S = 3.0
Check = Callable[[bytes, str], None]  # of a file's bytes, by its path; raises DataError
Stamp = list[int]  # size, time of content, time of inode (ns), inode number
Known = dict[str, tuple[Stamp, str]]  # file name -> its stamp and its SHA-256


def with_image_content(dataset: Dataset[Truth]) -> Dataset[Truth]:
    """Extends `sha256` of the summary to the bytes of the images, and adds `images_sha256`, theirs alone."""
    images = images_sha256(column(dataset.records, "file_name").tolist(), check_header)
    both = hashlib.sha256(f"{dataset.summary['sha256']} {images}".encode()).hexdigest()
    return replace(dataset, summary=dataset.summary | {"sha256": both, "images_sha256": images})


def images_sha256(paths: Sequence[str], check: Check | None = None) -> str:
    """SHA-256 over the SHA-256 of each file's bytes, in the given order; the paths are absolute.

    DataError as by `image_digests`.
    """
    whole = hashlib.sha256()
    for digest in image_digests(paths, check):
        whole.update(bytes.fromhex(digest))
    return whole.hexdigest()


def image_digests(paths: Sequence[str], check: Check | None = None) -> list[str]:
    """SHA-256 of each file's bytes, in the given order; the paths are absolute.

    DataError, naming the file, where one cannot be read or `check` refuses it when it is read. A cache that
    cannot be written costs a line on standard error.
    """
    by_folder: dict[str, Known] = {folder: _load(folder) for folder in {os.path.dirname(p) for p in paths}}
    now = time.time()
    parts = [paths[i : i + AT_ONCE] for i in range(0, len(paths), AT_ONCE)]
    looked = of_each(_stamps, parts, "look at images", quiet=True)
    stamps = dict(zip(paths, chain.from_iterable(looked), strict=True))
    digests: dict[str, str] = {}
    for path, stamp in stamps.items():
        folder, name = os.path.split(path)
        known = by_folder[folder].get(name)
        if known is not None and known[0] == stamp:
            digests[path] = known[1]
    new = [path for path in stamps if path not in digests]
    size = sum(stamps[path][0] for path in new)
    says = f"hash images ({size / 1e9:.1f} GB, once)"
    hashed = of_each(partial(_sha256, check), new, says, quiet=size < SHOW_FROM)
    digests.update(zip(new, hashed, strict=True))
    if size >= KEEP_FROM or len(new) >= KEEP_FILES:
        _keep({p: (stamps[p], digests[p]) for p in new if _settled(stamps[p], now)}, by_folder)
    return [digests[path] for path in paths]


def member_digests(
    archive: str, members: Sequence[str], read: Callable[[str], bytes], check: Check
) -> list[str]:
    """SHA-256 of the bytes of members of an archive, in the given order; kept as those of a folder's files.

    The archive's own size, times and inode vouch for all of them. DataError as by `image_digests`.
    """
    now, stamp, known = time.time(), _stamp(archive), _load(archive)
    digests = {name: sha for name, (before, sha) in known.items() if before == stamp}

    def hashed(name: str) -> str:
        raw = read(name)
        check(raw, f"{archive}:{name}")
        return hashlib.sha256(raw).hexdigest()

    new = [name for name in members if name not in digests]
    says = f"hash images of {os.path.basename(archive)}"
    digests.update(zip(new, of_each(hashed, new, says, quiet=stamp[0] < SHOW_FROM), strict=True))
    if new and stamp[0] >= KEEP_FROM and _settled(stamp, now):
        _write(archive, {name: (stamp, digests[name]) for name in digests})
    return [digests[name] for name in members]


def _stamps(paths: Sequence[str]) -> list[Stamp]:
    return [_stamp(path) for path in paths]


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror}); restore the file") from None
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _settled(stamp: Stamp, now: float) -> bool:
    return max(stamp[1], stamp[2]) / 1e9 < now - SETTLED_S


def _sha256(check: Check | None, path: str) -> str:
    try:
        raw = Path(path).read_bytes()
    except OSError as e:
        raise DataError(f"{path}: cannot be read ({e.strerror}); restore the file") from None
    if check:  # while the bytes are at hand: training would find it hours later
        check(raw, path)
    return hashlib.sha256(raw).hexdigest()


def _file(folder: str) -> Path:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:20]
    return cache_folder() / "images" / f"{name}.json"


def _load(folder: str) -> Known:
    """Reads what is known of a folder's files; nothing where the cache is absent or is not one."""
    try:
        content: Any = json.loads(_file(folder).read_bytes())
        if content["folder"] != folder:
            return {}
        return {
            name: (list(map(int, stamp)), _digest(sha)) for name, (stamp, sha) in content["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):  # the last: no home
        return {}


def _digest(text: str) -> str:
    if len(bytes.fromhex(text)) != hashlib.sha256().digest_size:
        raise ValueError
    return text


def _keep(new: dict[str, tuple[Stamp, str]], known: dict[str, Known]) -> None:
    more: dict[str, Known] = defaultdict(dict)
    for path, found in new.items():
        folder, name = os.path.split(path)
        more[folder][name] = found
    for folder, files in more.items():
        if not _write(folder, known[folder] | files):
            return


def _write(folder: str, files: Known) -> bool:
    """Whether it could be kept; where not, a line says so."""
    try:
        kept = _file(folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_save(str(kept), text_mode=True, overwrite_part=True) as file:
            file.write(json.dumps({"folder": folder, "files": files}))
    except (OSError, RuntimeError) as e:
        print(f"hashes of images are not kept ({e}): all are read again next time", file=sys.stderr)
        return False
    return True
