"""Reads names of the hub, `timm/NAME` and `hf/OWNER/NAME[@REVISION][:FILE]`; fetches nothing."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import UsageError
from converters.containers.reading import WEIGHTS
from converters.containers.remote import BY_NAME

_PREFIXES = ("timm/", "hf/", "torchhub/")
_PART = r"[A-Za-z0-9][\w.-]*"
_HF = re.compile(rf"hf/({_PART}/{_PART})(?:@({_PART}(?:/{_PART})*))?(?::({_PART}(?:/{_PART})*))?", re.ASCII)
_TIMM = re.compile(rf"timm/({_PART})", re.ASCII)
# A file of this name is meant where none is said, the first that the repository has.
USUAL_FILES = tuple(WEIGHTS)


@dataclass(frozen=True)
class Place:
    """Says where weights lie on the hub, and what is known of them without asking it."""

    repository: str  # OWNER/NAME
    revision: str  # a branch, a tag or a commit
    files: tuple[str, ...]  # the first of these that is there is taken
    pixels: tuple[list[float], list[float]] | None = None  # mean and deviation, RGB, 0..255


def is_hub_name(text: str) -> bool:
    """Whether an init is written in one of these forms, well or badly."""
    return text.startswith(_PREFIXES)


def label_of(text: str) -> str:
    """The name of the row: the model's, without its owner, revision and file."""
    return re.split("[@:]", text)[0].rpartition("/")[2]


def check(text: str) -> None:
    """Raises UsageError for a name that is written badly."""
    if text.startswith("torchhub/"):
        raise UsageError(
            f"--init {text}: an entry of torch.hub is code of its repository, which is not run here; "
            "download the file that it loads, and give that"
        )
    form = _TIMM if text.startswith("timm/") else _HF
    match = form.fullmatch(text)
    if match is None or ".." in text:
        expected = BY_NAME[0] if form is _TIMM else f"{BY_NAME[1]}, as in hf/facebook/dinov2-base@main"
        raise UsageError(f"--init {text:.200}: not written as a name of the hub; expected {expected}")


def place_of(text: str) -> Place:
    """Where the weights of that name lie. UsageError where it is unknown, or timm is needed and not there."""
    check(text)
    if text.startswith("timm/"):
        return _of_timm(text, text.removeprefix("timm/"))
    match = _HF.fullmatch(text)
    assert match is not None
    repository, revision, file = match.groups()
    return Place(repository, revision or "main", (file,) if file else USUAL_FILES)


def _of_timm(text: str, name: str) -> Place:
    """timm's own table says in which repository the weights are, and what pixels they were trained with."""
    try:
        from timm.models import get_pretrained_cfg, list_pretrained
    except ImportError:
        raise UsageError(
            f"--init {text}: timm, which knows the place of these weights, is not installed; pip install timm"
        ) from None
    try:
        cfg: Any = get_pretrained_cfg(name)
    except RuntimeError:  # the model is there, weights of that tag are not
        cfg = None
    if cfg is None or not cfg.has_weights:
        known = list_pretrained()
        architecture = name.partition(".")[0]
        near = [other for other in known if other.partition(".")[0] == architecture][:5]
        near = near or difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "timm.list_pretrained() shows them"
        raise UsageError(f"--init {text}: timm has no pretrained weights of that name; {hint}")
    if not cfg.hf_hub_id:
        raise UsageError(
            f"--init {text}: timm names no repository for them but {cfg.url}; download that and give it"
        )
    repository, _, revision = cfg.hf_hub_id.partition("@")
    if not re.fullmatch(rf"{_PART}/{_PART}", repository, re.ASCII):
        raise UsageError(f"--init {text}: timm names the repository {repository!r}; expected OWNER/NAME")
    files = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else USUAL_FILES
    return Place(repository, revision or "main", files, pixels(cfg.mean, cfg.std))


def pixels(mean: Any, std: Any) -> tuple[list[float], list[float]] | None:
    """Mean and deviation of a scale 0..1 on that of 0..255; None for what is not three numbers each."""
    both = []
    for values in (mean, std):
        if not isinstance(values, (list, tuple)) or len(values) != 3:
            return None
        if not all(type(value) in (int, float) for value in values):
            return None
        both.append([round(255 * value, 4) for value in values])
    return both[0], both[1]
