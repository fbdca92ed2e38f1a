"""Lists the images of folders, list files and tar shards as byte ranges with names and labels.

A tar member is a byte range of its archive, so shards give the same random access as loose files: sample
order stays a function of (seed, epoch, index) and needs no shuffle buffer.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pretrain.errors import PretrainError, warn
from pretrain.images.folders import files_below

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Image:
    """One image file, or one member of a tar archive (then `size` bytes from `offset` of `path`)."""

    name: str
    path: str
    offset: int = 0
    size: int = -1  # -1: the whole file
    label: str | None = None

    def read(self) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


@dataclass(frozen=True)
class ImageSet:
    """All images in a fixed order. `classes` is empty where the source carries no labels."""

    images: list[Image]
    classes: list[str]

    def __len__(self) -> int:
        return len(self.images)

    def labels(self, classes: list[str] | None = None) -> list[int]:
        """The class number of every image, counted in `classes` (of another set) or in its own."""
        numbers = {name: number for number, name in enumerate(classes or self.classes)}
        return [numbers[image.label or ""] for image in self.images]

    def sha256(self) -> str:
        """Hash of names and labels in order: whether two runs saw one list, and nothing of pixels."""
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(f"{image.name}\t{image.label}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()


def find_images(data: str | Path, subset: str | None = "train", minimum: int = 2) -> ImageSet:
    """Lists the images of a folder, a list file (.txt) or tar shards.

    A folder stands for its folder `subset` where there is one. Shards are a .tar file, a folder of them, or a
    brace pattern such as "imagenet-{000..146}.tar". Raises PretrainError, with the
    reason, where fewer than `minimum` images are found.
    """
    path = Path(data)
    if path.is_dir() and subset and (path / subset).is_dir():
        path = path / subset
    if "{" in path.name or path.suffix == ".tar":
        images = _from_shards(_expand(path))
    elif path.is_file() and path.suffix == ".txt":
        images = _from_list(path)
    elif path.is_dir():
        shards = _each_once(path, sorted(path.glob("*.tar")))
        images = _from_shards(shards) if shards else _from_folder(path)
    elif path.exists():
        raise PretrainError(f"{path}: expected a folder of images, a .txt list or .tar shards")
    else:
        raise PretrainError(
            f"{path}: no such folder or file; expected a folder of images, a .txt list or .tar shards"
        )
    if len(images) < minimum:
        found = "no image" if not images else f"only {len(images)} image" + "s" * (len(images) > 1)
        raise PretrainError(f"{path}: {found} found, at least {minimum} are needed ({' '.join(EXTENSIONS)})")
    labels = {image.label for image in images}
    return ImageSet(images, [] if None in labels else sorted(label for label in labels if label is not None))


def _from_folder(root: Path) -> list[Image]:
    """Lists every image below `root` once, labelled by the first folder below it, as ImageFolder does.

    Links are followed; those that lead back to what is counted are left out, and a warning says so.
    """
    walk = files_below(str(root), EXTENSIONS)
    _tell_left_out(root, walk.repeated, "lead to what is counted already")
    _tell_left_out(root, walk.dangling, "lead nowhere")
    return [
        Image(name, os.path.join(root, name), label=name.split(os.sep)[0] if os.sep in name else None)
        for name in sorted(walk.files)
    ]


def _tell_left_out(where: Path, links: list[str], reason: str) -> None:
    if links:
        names = ", ".join(sorted(links)[:3]) + ", ..." * (len(links) > 3)
        warn(f"{where}: {len(links)} link{'s' * (len(links) > 1)} left out, for they {reason}: {names}")


def _from_list(path: Path) -> list[Image]:
    """Reads one image a line: its path below the list's folder and, after a tab or space, a label or none."""
    found = []
    for number, line in enumerate(path.read_text(errors="surrogateescape").splitlines(), start=1):
        if not line.strip():
            continue
        name, label = _split_line(line)
        if not name.lower().endswith(EXTENSIONS):
            raise PretrainError(
                f"{path}, line {number}: {line!r} does not name an image ({' '.join(EXTENSIONS)})"
            )
        found.append(Image(name, str(path.parent / name), label=label))
    labelled = sum(image.label is not None for image in found)
    if labelled not in (0, len(found)):
        raise PretrainError(
            f"{path}: {labelled} of {len(found)} lines carry a label; give one on every line or on none"
        )
    return found


def _split_line(line: str) -> tuple[str, str | None]:
    line = line.strip()
    if line.lower().endswith(EXTENSIONS):
        return line, None
    name, _, label = line.rpartition("\t" if "\t" in line else " ")
    return name.strip(), label


def _expand(pattern: Path) -> list[Path]:
    if "{" not in pattern.name:
        shards = [pattern]
    else:
        from braceexpand import braceexpand  # the syntax of webdataset

        shards = [Path(name) for name in braceexpand(str(pattern))]
    for shard in shards:
        if not shard.is_file():
            raise PretrainError(f"{shard}: no such shard (from {pattern})")
    return shards


def _each_once(folder: Path, shards: list[Path]) -> list[Path]:
    """Leaves out links to other shards of the folder, whose images are counted already."""
    real: dict[str, Path] = {}
    for shard in sorted(shards, key=lambda shard: (shard.is_symlink(), shard)):
        real.setdefault(os.path.realpath(shard), shard)
    kept = sorted(real.values())
    _tell_left_out(folder, [s.name for s in shards if s not in kept], "lead to what is counted already")
    return kept


def _from_shards(shards: list[Path]) -> list[Image]:
    """Lists the images of tar archives; KEY.cls beside KEY.jpg is its label, as webdataset writes it."""
    found: list[Image] = []
    for shard in shards:
        try:
            found.extend(_members(shard))
        except (tarfile.TarError, OSError) as error:
            raise PretrainError(f"{shard}: not a readable, uncompressed tar archive ({error})") from None
    return found


def _members(shard: Path) -> Iterator[Image]:
    with tarfile.open(shard, "r:") as archive:  # "r:" refuses compression, which would rule out random access
        entries = list(archive)
    members = [member for member in entries if member.isfile()]
    links = [m.name for m in entries if (m.issym() or m.islnk()) and m.name.lower().endswith(EXTENSIONS)]
    _tell_left_out(shard, links, "hold no bytes of their own in the archive")
    labels = {}
    with open(shard, "rb") as file:
        for member in members:
            if member.name.endswith(".cls"):
                file.seek(member.offset_data)
                text = file.read(member.size).decode(errors="replace")
                labels[member.name[: -len(".cls")]] = text.strip()
    for member in members:
        if member.name.lower().endswith(EXTENSIONS):
            stem = os.path.splitext(member.name)[0]
            yield Image(
                f"{shard.name}/{member.name}", str(shard), member.offset_data, member.size, labels.get(stem)
            )
