"""Reads a user's own data set, defined in a suite file: a COCO-format JSON and a folder of images."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from converters.command import spelled
from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth, read_files
from transfer.datasets.findings import Findings
from transfer.errors import DataError

TASKS = ("bbox", "segm", "keypoints")
_REQUIRED, _OPTIONAL = ("format", "json", "images"), ("tasks",)


@dataclass(frozen=True)
class OwnDataset:
    """A data set of a user: absolute paths, annotated tasks (boxes always), and the file that defines it.

    classes: the user's, of a set in VOC's layout or of class maps; its `json` is the list of the split.
    Without them the set is COCO's. maps: the folder of the class maps, of a set of these.
    """

    name: str
    json: Path
    images: Path
    tasks: tuple[str, ...]
    suite: Path
    classes: tuple[str, ...] = ()
    maps: Path | None = None

    @property
    def where(self) -> str:
        """The place in the user's file: how every message about the data set begins."""
        return f"{block(self.suite)}: {self.name}"

    @property
    def check_command(self) -> str:
        """The command that lists all that is wrong with it."""
        name, suite = shlex.quote(self.name), shlex.quote(str(self.suite))
        return spelled("transfer.datasets", f"check {name} --suite {suite}")

    def to_json(self) -> dict[str, Any]:
        """The definition in JSON types, for a process that may have another working directory."""
        paths = {"json": self.json, "images": self.images, "suite": self.suite}
        paths |= {"maps": self.maps} if self.maps else {}
        lists = {"tasks": list(self.tasks), **({"classes": list(self.classes)} if self.classes else {})}
        return {**lists, **{key: str(path.absolute()) for key, path in paths.items()}}

    @staticmethod
    def from_json(name: str, content: Mapping[str, Any]) -> OwnDataset:
        """The inverse of `to_json`."""
        json, images, suite = (Path(content[key]) for key in ("json", "images", "suite"))
        classes = tuple(content.get("classes", ()))
        maps = Path(content["maps"]) if "maps" in content else None
        return OwnDataset(name, json, images, tuple(content["tasks"]), suite, classes, maps)


def block(suite: Path) -> str:
    """The block of a suite file that defines data sets, as messages name it."""
    return f"suite {suite}: datasets"


def check_keys(
    definition: Mapping[Any, Any], required: Sequence[str], optional: Sequence[str], where: str
) -> None:
    """Raises DataError where a key of a definition is missing or unknown."""
    unknown = set(definition) - {*required, *optional}
    missing = set(required) - set(definition)
    if unknown or missing:
        what = [f"{key} is missing" for key in sorted(missing)]
        what += [f"{key} is unknown" for key in sorted(map(str, unknown))]
        keys = ", ".join(required) + (f" and, if wanted, {', '.join(optional)}" if optional else "")
        raise DataError(f"{where}: {', '.join(what)}; the keys are {keys}")


def make_own(name: str, definition: Mapping[Any, Any], suite: Path) -> OwnDataset:
    """Checks a definition `{format, json, images, tasks}`; paths are relative to the folder of `suite`.

    DataError names the file and the key; what the paths hold is not looked at.
    """
    where = block(suite)
    check_keys(definition, _REQUIRED, _OPTIONAL, f"{where}: {name}")
    json, images = (own_path(definition[key], f"{where}: {name}: {key}", suite) for key in ("json", "images"))
    tasks = definition.get("tasks", ["bbox", "segm"])
    if not isinstance(tasks, list | tuple) or "bbox" not in tasks or not all(t in TASKS for t in tasks):
        raise DataError(
            f"{where}: {name}: tasks is {tasks!r}; expected bbox and, if annotated, segm, keypoints"
        )
    return OwnDataset(name, json, images, tuple(task for task in TASKS if task in tasks), suite)


def own_path(text: Any, where: str, suite: Path) -> Path:
    """The absolute path that a user wrote, with `~` or `$VARIABLE` in front filled in; DataError for none."""
    if not isinstance(text, str) or not text or "\0" in text:
        raise DataError(f"{where} is {text!r}; expected a path")
    variable = re.match(r"\$([A-Za-z_]\w*)(?=/|$)", text)
    if variable:
        value = os.environ.get(variable[1])
        if not value:
            raise DataError(f"{where} is {text!r}; the variable {variable[1]} is not set: set it")
        text = str(Path.cwd() / value) + text[variable.end() :]
    try:
        return (suite.parent / Path(text).expanduser()).absolute()
    except RuntimeError:  # ~somebody
        raise DataError(f"{where} is {text!r}; there is no such user, so no such home folder") from None


def read_own(own: OwnDataset, findings: Findings) -> Dataset[CocoTruth]:
    """Reads the data set; problems go to `findings`, missing or unreadable files raise DataError."""
    if not own.json.is_file():
        what = f"{own.json} is not a file; correct `json`{near(own.json)}"
        raise DataError(f"{own.where}: json: {what}")
    if not own.images.is_dir():
        what = f"{own.images} is not a folder; correct `images`{near(own.images)}"
        raise DataError(f"{own.where}: images: {what}")
    try:
        dataset = read_files(own.name, own.json, own.images, own.images, own.tasks, findings)
        dataset = replace(dataset, where=own.where)
    except DataError as error:
        raise DataError(f"{own.where}: json: {error}") from None
    except OSError as error:  # a folder that may not be listed
        raise DataError(f"{own.where}: images: {error.filename}: {error.strerror}") from None
    empty = next((key for key in ("images", "objects") if not dataset.summary[key]), None)
    if empty and not findings.errors:
        field = "annotations" if empty == "objects" else empty
        says = "there are none, so there is nothing to train on or to score"
        findings.error(f"no-{empty}", own.json.name, "", field, None, says)
    return dataset


def stop_on_error(own: OwnDataset, dataset: Dataset[CocoTruth], findings: Findings) -> None:
    """Raises DataError with the first error, its key in the suite file and the command that lists all."""
    images = dataset.summary["images"]
    if images and findings.errors["missing-image"] == images:
        first = findings.examples["missing-image"][0].value
        raise DataError(
            f"{own.where}: images: none of the {images} images that {own.json.name} names is in {own.images} "
            f"(the first is {first}); correct `images`, or `file_name` in the JSON"
        )
    rule = next(iter(findings.errors), "")
    key = "images" if rule == "missing-image" else "json"
    findings.stop_on_error(f"{own.where}: {key}", own.check_command)


def near(path: Path) -> str:
    """Says what is there instead: the path itself, names like it beside it, or the missing folder."""
    if path.exists():
        return f": it is a {'folder' if path.is_dir() else 'file'}"
    if not path.parent.is_dir():
        folder = next((p for p in path.parents if p.is_dir()), path.parent)
        return f": {folder} has no {path.relative_to(folder).parts[0]}"
    names = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=3, cutoff=0.6)
    return f": did you mean {', '.join(names)}?" if names else f": {path.parent} has no {path.name}"
