"""Takes weights of the hub from the cache, or fetches them into it once: commit and SHA-256 are kept.

What a name once meant it goes on meaning: a note in the cache says which commit and which file it was, so a
grid goes on with the weights that it began with, offline too. Another revision is asked for by `@REVISION`.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from benchmarks.errors import UsageError
from benchmarks.planning.download import fetch, file_sha256, proof
from benchmarks.planning.hub_names import Place, check, pixels, place_of
from benchmarks.planning.hub_server import MOST, Remote, look_up, pick, refused, token
from benchmarks.planning.timm_facts import restated, stated_by_timm
from converters.backbone import Backbone, prove
from converters.containers.reading import PREPROCESSING, WEIGHTS
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from transfer.process.cache import cache_folder
from transfer.process.web import FAILURES

_OF_TIMM, _UNTOLD = "timm_vit", "vit_plain"  # rows of the publishers' table
# Files beside the weights that may say of which pixels they are.
_SAYING = (*dict.fromkeys(WEIGHTS.values()), PREPROCESSING)


@dataclass(frozen=True)
class Fetched:
    """The place that a name was found to mean; kept as JSON in the cache."""

    repository: str
    revision: str  # the commit
    file: str
    sha256: str
    folder: str  # below the cache: it has the file, and what was fetched beside it
    pixel_mean: list[float] | None = None
    pixel_std: list[float] | None = None
    pixels_said_by: str = ""
    facts: dict[str, Any] | None = None  # that timm states of its model

    @property
    def path(self) -> Path:
        return cache_folder() / self.folder / self.file.rpartition("/")[2]


def at_hand(name: str) -> bool:
    """Whether these weights are in the cache. UsageError for a name that is written badly, or unknown."""
    known = _noted(name)
    if known is None or not known.path.exists():
        place_of(name)
        return False
    return True


def open_hub(name: str) -> Backbone:
    """The proven backbone of that name, fetched if need be, with its commit and its hash in the manifest."""
    check(name)
    found = _noted(name)
    if found is None or not found.path.exists():
        found = _fetch(name, place_of(name))
    elif file_sha256(found.path) != found.sha256:
        raise UsageError(
            f"--init {name}: {found.path} is damaged (its SHA-256 is not {found.sha256[:16]}...); "
            "remove it, and the next call gets it again"
        )
    try:
        return _stated(_opened(found), found)
    except CheckpointError as error:
        hint = (
            f"; {name.removeprefix('hf/')} asks timm for what it lacks" if name.startswith("hf/timm/") else ""
        )
        raise CheckpointError(f"--init {name}: {error}{hint}") from None


def _opened(found: Fetched) -> Backbone:
    """The backbone of the file, with the settings beside it.

    A vision transformer of timm's whose publisher the file does not tell is refused by itself; what it lacks,
    timm has stated.
    """
    path = found.path
    whole = path.name in WEIGHTS and (path.parent / WEIGHTS[path.name]).is_file()
    given = path.parent if whole else path
    try:
        backbone = open_checkpoint(given)
    except CheckpointError:
        if not found.facts:
            raise
        with contextlib.suppress(CheckpointError):
            return open_checkpoint(given, source=_OF_TIMM)
        raise
    if found.facts and backbone.manifest["source"] == _UNTOLD:
        return open_checkpoint(given, source=_OF_TIMM)
    return backbone


def _stated(backbone: Backbone, found: Fetched) -> Backbone:
    """The backbone with its place on the hub, and the pixels that are said there, in its manifest."""
    manifest: dict[str, Any] = {
        **backbone.manifest,
        "hub_repository": found.repository,
        "hub_revision": found.revision,
        "hub_file": found.file,
        "notes": list(backbone.manifest["notes"]),
    }
    said = {"input_format": "RGB", "pixel_mean": found.pixel_mean, "pixel_std": found.pixel_std}
    if found.pixel_mean and found.pixel_std and not _alike(said, manifest):
        was = f"{manifest['input_format']} {manifest['pixel_mean']} {manifest['pixel_std']}"
        manifest["notes"].append(f"pixels as {found.pixels_said_by} says, instead of {was}")
        manifest.update(said)
    stated = restated(manifest, found.facts or {})
    for key, value in stated.items():
        manifest["notes"].append(f"{key} as timm's model has it: {value} instead of {manifest[key]}")
    changed = replace(backbone, manifest=manifest | stated)
    prove(changed)
    return changed


def _alike(said: dict[str, Any], manifest: dict[str, Any]) -> bool:
    """Whether they are the same pixels but for rounding."""
    numbers = [[*table["pixel_mean"], *table["pixel_std"]] for table in (said, manifest)]
    return manifest["input_format"] == "RGB" and all(abs(a - b) < 1e-2 for a, b in zip(*numbers, strict=True))


def _fetch(name: str, place: Place) -> Fetched:
    remote = look_up(name, place)
    file = pick(name, place, remote)
    owner, _, model = place.repository.partition("/")
    folder = Path("hub", f"{owner}--{model}", remote.commit, file.replace("/", "--"))
    path = cache_folder() / folder / file.rpartition("/")[2]
    expected = remote.hashes.get(file, "")

    try:
        if path.exists() and expected and file_sha256(path) == expected:
            sha256 = expected  # under another name it is here already
        else:
            path.unlink(missing_ok=True)
            sha256 = fetch(remote.address(file), path, proof(expected), token(), remote.sizes.get(file, 0))
        said, by = _pixels(remote, path.parent)
    except FAILURES as error:
        refused(name, place, error)
    facts = None
    if place.pixels is not None:
        said, by, facts = place.pixels, "timm", stated_by_timm(name.removeprefix("timm/"))
    mean, std = said or (None, None)
    found = Fetched(place.repository, remote.commit, file, sha256, folder.as_posix(), mean, std, by, facts)
    note = _note(name)
    note.parent.mkdir(parents=True, exist_ok=True)
    with atomic_save(str(note), text_mode=True, overwrite_part=True) as text:
        text.write(json.dumps(asdict(found), indent=1) + "\n")
    return found


def _pixels(remote: Remote, folder: Path) -> tuple[tuple[list[float], list[float]] | None, str]:
    """Fetches the settings beside the weights; the pixels that they state, and which file does."""
    said, by = None, ""
    for file in _SAYING:
        if file not in remote.files:
            continue
        path = folder / file
        if not path.exists():
            fetch(remote.address(file), path, _prove_json, token(), remote.sizes.get(file, 0), MOST)
        content = json.loads(path.read_text(encoding="utf-8"))
        found = _pixels_in(content)
        if found is not None and said is None:
            said, by = found, file
    return said, by


def _prove_json(part: Path, _: str) -> None:
    try:
        if isinstance(json.loads(part.read_text(encoding="utf-8")), dict):
            return
    except RecursionError:
        pass
    raise ValueError("settings beside the weights are no table of JSON")


def _pixels_in(content: dict[str, Any]) -> tuple[list[float], list[float]] | None:
    """Mean and deviation as timm's, open_clip's or transformers' settings state them."""
    for inner in ("pretrained_cfg", "preprocess_cfg"):
        if isinstance(content.get(inner), dict):
            return pixels(content[inner].get("mean"), content[inner].get("std"))
    if content.get("do_normalize") is False:
        return pixels([0, 0, 0], [1, 1, 1])
    return pixels(content.get("image_mean"), content.get("image_std"))


def _note(name: str) -> Path:
    return cache_folder() / "hub" / "names" / (re.sub(r"[^\w.@-]", "+", name) + ".json")


def _noted(name: str) -> Fetched | None:
    """The cache's note of what a name meant; None where there is none that can be read."""
    check(name)
    try:
        return Fetched(**json.loads(_note(name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
