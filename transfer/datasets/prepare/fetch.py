"""Fetches a file from the first of its addresses that gives it whole; a download that broke off goes on."""

from __future__ import annotations

import fcntl
import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError

from transfer.datasets.image_list.public.row import Remote
from transfer.errors import DataError, TransferError
from transfer.process import web
from transfer.process.disk import check_room, writing
from transfer.process.web import CHUNK, Refused

TRIES = 4  # of one address, as long as each brings something
TIMEOUT_S = 30.0  # of silence


def fetch(remote: Remote, folder: Path, most: int, by_hand: str = "") -> Path:
    """The proven file in `folder`; what is there already is proven, and taken.

    A part that broke off stays there, and the next call goes on with it, from any address. DataError says
    for each address why nothing came of it, and what to do by hand: where nothing is said, to put it there.
    most: bytes that are taken of a file whose size is not published.
    """
    path, part = folder / remote.file, folder / f"{remote.file}.part"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with writing(path):  # or reading it: a folder, or somebody else's
            wrong = disproved(remote, path)
        if not wrong:
            return path
        raise DataError(f"{path}: {wrong}; remove it, and the same command fetches it")
    failures: dict[str, BaseException] = {}
    with _alone(part) as file:
        for address in remote.addresses:
            try:
                _from(_resolved(address), remote, file, remote.size or most)
            except TransferError:  # the disk, which is nobody's fault
                raise
            except web.FAILURES as error:
                failures[address] = error
                continue
            with writing(path):
                part.rename(path)
            return path
    by_hand = by_hand or f"put {remote.file} into {folder} and run the same command"
    raise DataError(_told(remote, by_hand, failures))


def disproved(remote: Remote, path: Path) -> str:
    """Says why a file is not the one that is meant; empty where it is, or nothing is known of it."""
    size = path.stat().st_size
    if remote.size and size != remote.size:
        return f"has {size} bytes, expected {remote.size}"
    kind, expected = remote.proof
    if not expected:
        return ""
    from transfer.process.progress import progress

    digest = hashlib.new(kind, usedforsecurity=False)
    with (
        path.open("rb") as file,
        progress(f"prove {path.name} (MB)", max(1, size >> 20), quiet=size < 1 << 30) as step,
    ):
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            step("")
    found = digest.hexdigest()
    return "" if found == expected else f"its {kind.upper()} is {found[:16]}..., expected {expected[:16]}..."


@contextmanager
def _alone(part: Path) -> Iterator[IO[bytes]]:
    """The part, opened for this process alone; an empty one is removed at the end."""
    with writing(part):
        opened = part.open("ab", buffering=0)  # what was written is there, and is not written again
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(f"{part}: another process is fetching it; wait until it is done") from None
        try:
            yield file
        finally:
            with writing(part):
                if part.exists() and not part.stat().st_size:
                    part.unlink()


def _resolved(address: str) -> str:
    if not address.startswith("hub:"):
        return address
    hub = web.hub_endpoint()
    if not hub:
        raise ValueError(
            f"the hub's address is not known here: pip install huggingface_hub, or set {web.ENDPOINT}"
        )
    return f"{hub}/{address.removeprefix('hub:')}"


def _from(address: str, remote: Remote, file: IO[bytes], most: int) -> None:
    """Fetches what is missing from one address and proves the whole; one of FAILURES says what failed."""
    if len(remote.addresses) > 1 and not remote.proof[0]:
        _empty(file)  # nothing would prove a file that is joined of two servers' parts
    resumed = file.tell() > 0
    for attempt in range(TRIES):
        before = file.tell()
        try:
            _receive(address, remote, file, most)
        except Refused:
            _empty(file)
            raise
        except (HTTPError, TransferError):
            raise
        except web.FAILURES:
            if file.tell() == before or attempt == TRIES - 1:
                raise
            continue
        wrong = disproved(remote, Path(file.name))
        if not wrong:
            return
        _empty(file)
        if not resumed:
            raise Refused(wrong)
        resumed = False  # the beginning may be another server's: once more from the first byte
    raise Refused("the file did not come whole")


def _receive(address: str, remote: Remote, file: IO[bytes], most: int) -> None:
    """Appends what is missing. ValueError if less came than was promised, Refused if more or other."""
    begin = file.tell()
    if remote.size and begin > remote.size:
        _empty(file)
        begin = 0
    if remote.size and begin == remote.size:
        return
    try:
        answer = web.ask(address, timeout=TIMEOUT_S, begin=begin)
    except HTTPError as error:
        if error.code == 416 and begin:  # there is nothing behind what is here
            if str(error.headers.get("Content-Range")) == f"bytes */{begin}":
                return  # it is whole: a process ended before it was proven
            raise Refused("the server has no more bytes than are here") from None
        raise
    with answer:
        total = _total(answer, begin)
        if begin and answer.status != 206:  # some servers send the whole
            _empty(file)
        if not total and not remote.size and not remote.proof[0]:
            raise Refused("it does not say how long the file is, and no hash of it is published")
        if remote.size and total not in (0, remote.size):
            raise Refused(f"the server has {total} bytes, expected {remote.size}")
        if total > most:
            raise Refused(f"the server has {total} bytes, and {most} at most are taken")
        total = total or remote.size
        check_room(Path(file.name), total - file.tell())
        _copy(answer, file, remote, total, total or most)
    if total and file.tell() < total:
        raise ValueError(f"{file.tell()} of {total} bytes came")


def _copy(answer: Any, file: IO[bytes], remote: Remote, total: int, most: int) -> None:
    """Appends what comes, as it comes: what a server sent before it fell silent is kept.

    total: bytes of the whole, 0 where nobody says. Refused as soon as more than `most` came.
    """
    from transfer.process.progress import progress

    done = file.tell() // CHUNK
    with progress(f"fetch {remote.file} (MB)", max(1, -(-total // CHUNK)), done) as advance:
        for came in web.received(answer, most, file.tell()):
            chunk = memoryview(came)
            with writing(Path(file.name), total):
                while chunk:
                    chunk = chunk[file.write(chunk) :]
            while done < file.tell() // CHUNK:
                done += 1
                advance("")


def _total(answer: Any, begin: int) -> int:
    """Bytes of the whole file, 0 where it is not said. Refused for a part that does not go on at `begin`."""
    length = max(0, int(answer.headers.get("Content-Length") or 0))
    if answer.status != 206:
        return length
    says = str(answer.headers.get("Content-Range") or "")
    said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", says)
    if not said or int(said[1]) != begin:
        raise Refused(f"asked for what begins at byte {begin}, the server sent {says or 'some part'!r}")
    if said[3] == "*":
        return begin + length if length else 0
    return int(said[3])


def _empty(file: IO[bytes]) -> None:
    file.truncate(0)
    file.seek(0)


def _told(remote: Remote, by_hand: str, failures: dict[str, BaseException]) -> str:
    if failures and all(_no_connection(error) for error in failures.values()):
        address = web.told(next(iter(failures)))
        return f"{remote.file}: no connection (offline?); go online, or {by_hand} (it is at {address})"
    said = "; ".join(f"{web.told(address)} ({_of_http(error)})" for address, error in failures.items())
    return f"{remote.file}: was not fetched from {said}; try again later, or {by_hand}"


def _of_http(error: BaseException) -> str:
    says = f"{error.code} {error.reason}" if isinstance(error, HTTPError) else web.why(error)
    return " ".join(says.split())  # one line, also of a loop of redirects


def _no_connection(error: BaseException) -> bool:
    reason = error.reason if isinstance(error, URLError) and not isinstance(error, HTTPError) else None
    return isinstance(reason, socket.gaierror | ConnectionRefusedError) or (
        isinstance(reason, OSError) and reason.errno in (101, 113)  # no route
    )
