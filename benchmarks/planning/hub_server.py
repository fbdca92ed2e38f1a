"""Asks the hub's server for a repository's commit, files and hashes, and says what it refuses."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.parse import quote

from benchmarks.errors import UsageError
from benchmarks.planning.download import ask
from benchmarks.planning.hub_names import Place
from converters.containers.remote import FILES
from transfer.errors import DiskError
from transfer.process.web import ENDPOINT, FAILURES, hub_endpoint, received, why

TOKEN, OFFLINE = "HF_TOKEN", "HF_HUB_OFFLINE"  # as the hub's own library has them
MOST = 32 << 20  # bytes of an answer about a repository, or of settings in it


@dataclass(frozen=True)
class Remote:
    """A repository at one commit; SHA-256 and bytes of those files for which they are published."""

    repository: str
    commit: str
    files: tuple[str, ...]
    hashes: dict[str, str]
    sizes: dict[str, int]

    def address(self, file: str) -> str:
        """The address of a file of this commit."""
        return f"{endpoint()}/{self.repository}/resolve/{self.commit}/{quote(file)}"


def endpoint() -> str:
    """The hub's server: $HF_ENDPOINT, else what its installed library knows. UsageError without both."""
    found = hub_endpoint()
    if not found:
        raise UsageError(
            f"the hub's address is not known here; pip install huggingface_hub, or set {ENDPOINT}"
        )
    if not re.match(r"https?://[^/\s]", found):
        raise UsageError(f"{ENDPOINT} is {found!r}; expected an address that begins with https://")
    return found


def token() -> str:
    """The user's token, empty where there is none. UsageError for what can be none."""
    said = os.environ.get(TOKEN, "").strip()
    if not re.fullmatch(r"[!-~]*", said):  # the error of a header would print it
        raise UsageError(f"{TOKEN} holds what no token does (a line break, a blank); set it anew")
    return said


def look_up(name: str, place: Place) -> Remote:
    """Asks for the commit and the files behind a place. UsageError says why there is no answer."""
    if os.environ.get(OFFLINE, "").lower() in ("1", "true", "yes", "on"):
        raise UsageError(f"--init {name}: not in the cache, and {OFFLINE} is set; {by_hand(place)}")
    address = (
        f"{endpoint()}/api/models/{place.repository}/revision/{quote(place.revision, safe='')}?blobs=true"
    )
    try:
        with ask(address, token()) as answer:
            text = b"".join(received(answer, MOST))
        return _read(json.loads(text), place)
    except FAILURES as error:
        refused(name, place, error)


def pick(name: str, place: Place, remote: Remote) -> str:
    """The place's file that the repository has; UsageError names the weight files that it has instead."""
    for file in place.files:
        if file in remote.files:
            return file
    there = [file for file in remote.files if file.endswith(FILES)]
    if len(place.files) > 1 and len(there) == 1:
        return there[0]
    if any(file.endswith(".index.json") for file in remote.files) and len(place.files) > 1:
        raise UsageError(f"--init {name}: its weights are in several files; join them, and give that file")
    has = f"it has {_listed(there)}" if there else "it has no weight files"
    if len(place.files) > 1:
        raise UsageError(f"--init {name}: which file? {has}; say it, as in hf/{place.repository}:FILE")
    raise UsageError(
        f"--init {name}: {place.repository} has no file {place.files[0]} at {place.revision}; {has}"
    )


def refused(name: str, place: Place, error: BaseException) -> NoReturn:
    """Raises the UsageError that says what the server or the network refused, and what to do."""
    code = error.code if isinstance(error, HTTPError) else 0
    said = str(error.headers.get("X-Error-Code") or "") if isinstance(error, HTTPError) else ""
    if code in (401, 403) and (said == "GatedRepo" or code == 403 or not token()):
        what = "is gated" if said == "GatedRepo" else "is not there, or gated, or private"
        raise UsageError(
            f"--init {name}: {place.repository} {what} ({code}); accept its terms on its page, make a token "
            f"that may read it, and set {TOKEN}{' (the one that is set may not)' if token() else ''}"
        ) from None
    if code == 401:
        raise UsageError(
            f"--init {name}: {place.repository} is not there, or {TOKEN} is not a token for it (401); "
            "compare the name with its page, or make a new token"
        ) from None
    if code == 404:
        what = f"has no revision {place.revision}" if said == "RevisionNotFound" else "is not there"
        raise UsageError(
            f"--init {name}: {place.repository} {what} (404); compare the name with its page"
        ) from None
    if isinstance(error, DiskError):  # which says itself what to do
        raise UsageError(f"--init {name}: {error}") from None
    raise UsageError(f"--init {name}: was not fetched ({why(error)}); {by_hand(place)}") from None


def by_hand(place: Place) -> str:
    """The advice for where there is no connection."""
    file = place.files[0]
    return f"download {file} of {place.repository} where there is a connection, and give the file"


def _read(content: Any, place: Place) -> Remote:
    """The server's answer. ValueError for anything that is none."""
    siblings = content.get("siblings") if isinstance(content, dict) else None
    commit = content.get("sha") if isinstance(content, dict) else None
    if not isinstance(siblings, list) or not re.fullmatch(r"[0-9a-f]{40}", str(commit)):
        raise ValueError("the server's answer is not about a repository")
    files, hashes, sizes = [], {}, {}
    for entry in siblings:
        file = entry.get("rfilename") if isinstance(entry, dict) else None
        if not isinstance(file, str) or not file.isprintable() or ".." in file:
            continue
        files.append(file)
        lfs = entry.get("lfs")
        published = str(lfs.get("sha256") or lfs.get("oid")) if isinstance(lfs, dict) else ""
        if re.fullmatch(r"[0-9a-f]{64}", published):
            hashes[file] = published
        if type(entry.get("size")) is int and entry["size"] > 0:
            sizes[file] = entry["size"]
    return Remote(place.repository, str(commit), tuple(files), hashes, sizes)


def _listed(files: Sequence[str], most: int = 8) -> str:
    more = f" and {len(files) - most} more" if len(files) > most else ""
    return f"{', '.join(files[:most])}{more}"
