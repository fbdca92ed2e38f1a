"""Finds the files below a folder, each once: links are followed, unless they lead back to what is counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pretrain.errors import PretrainError

if TYPE_CHECKING:
    Identity = tuple[int, int]  # st_dev and st_ino: the file itself, whatever its name


@dataclass
class Walk:
    """The files that a walk found and the links that it left out, relative to its root."""

    files: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)  # lead to a folder or file that is counted already
    dangling: list[str] = field(default_factory=list)  # lead nowhere, and do not end like a wanted file


def files_below(root: str, endings: tuple[str, ...]) -> Walk:
    """Finds all files with one of the `endings` below `root`.

    Folders and files that lie there under their own name come first, so that no link takes the name, and with
    it the class, of the real thing. A link to a folder is then followed in the order of the names, unless the
    folder was met before or holds the root; so the walk ends whatever the links are. A link to a file counts
    unless its file is counted. Hard links are files of their own. Raises PretrainError for a folder that
    cannot be read.
    """
    walk = Walk()
    seen_folders = {_identity(str(parent)) for parent in Path(os.path.realpath(root)).parents}
    seen_files: set[Identity | None] = set()
    folder_links, file_links = [""], []
    while folder_links:  # the root is the first of them
        link = folder_links.pop(0)
        if _identity(os.path.join(root, link)) in seen_folders:
            walk.repeated.append(link)
            continue
        found: list[str] = []
        for entry, name, device in _real_tree(root, link, seen_folders):
            ends_well = name.lower().endswith(endings)
            if not entry.is_symlink():
                if ends_well:
                    walk.files.append(name)
                    seen_files.add((device, entry.inode()))
            elif os.path.isdir(entry.path):
                found.append(name)
            elif ends_well:
                file_links.append(name)
            elif not os.path.exists(entry.path):
                walk.dangling.append(name)
        folder_links += sorted(found)
    for name in sorted(file_links):
        target = _identity(os.path.join(root, name))
        if target in seen_files:
            walk.repeated.append(name)
            continue
        if target is not None:  # one that leads nowhere is an image that cannot be read, and counted as such
            seen_files.add(target)
        walk.files.append(name)
    return walk


def _real_tree(
    root: str, start: str, seen: set[Identity | None]
) -> Iterator[tuple[os.DirEntry[str], str, int]]:
    """Yields every file and link below root/start, its name below the root, and the device that it lies on.

    No link is followed. `seen` learns all folders met.
    """
    waiting = [start]
    while waiting:
        folder = waiting.pop()
        path = os.path.join(root, folder)
        try:
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:
                continue  # a mount of what lies elsewhere in the tree
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                for entry in entries:
                    name = os.path.join(folder, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name)
                    else:
                        yield entry, name, status.st_dev
        except OSError as error:
            raise PretrainError(
                f"{error.filename}: folder cannot be read ({error.strerror}); check its permissions"
            ) from None


def _identity(path: str) -> Identity | None:
    """Tells a file or folder from all others, whatever its name; None where the path leads nowhere."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
