"""Writes checkpoints in the published layout that survive a crash, and checks them before use.

Files of a run: checkpoint_00000100.pth.tar (after 100 iterations) ... and checkpoint_last.pth.tar, a second
name of the newest. Contents are tensors, numbers, strings, lists and dicts only, so
`torch.load(weights_only=True)` reads them. The check is the CRC-32 that the zip container holds for every
member; torch writes it but does not verify it.
"""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain.errors import PretrainError

LAST = "checkpoint_last.pth.tar"
PREFIX = "module."  # the published code saves a DistributedDataParallel module
# `converters` writes these into each of its files: within the first bytes, or as a member of the archive.
_CONVERTED = b"moco_transfer_manifest", "/moco_transfer.json"
_NUMBERED = re.compile(r"checkpoint_(\d{8})\.pth\.tar")


def save(contents: dict[str, Any], directory: Path, iteration: int, keep: int) -> Path:
    """Writes the checkpoint of `iteration`, names it the last one, and removes all but the newest `keep`.

    Raises PretrainError where the file cannot be written; whatever fails, the previous ones are intact.
    """
    import torch
    from boltons.fileutils import atomic_save

    path = directory / f"checkpoint_{iteration:08d}.pth.tar"
    try:
        with atomic_save(str(path), overwrite_part=True) as file:
            torch.save(contents, file)
        _name_last(path)
        _sync_directory(directory)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        (directory / (path.name + ".part")).unlink(missing_ok=True)
        raise PretrainError(
            f"{path}: cannot save the checkpoint ({error}); earlier ones are intact"
        ) from None
    for _, old in _numbered(directory)[max(keep, 1) :]:
        old.unlink(missing_ok=True)
    return path


def _name_last(path: Path) -> None:
    """Gives the file a second name; where the file system has no hard links, it makes a copy."""
    import shutil

    temporary = path.with_name(LAST + ".part")
    temporary.unlink(missing_ok=True)
    try:
        os.link(path, temporary)
    except OSError:
        shutil.copyfile(path, temporary)
    os.replace(temporary, path.with_name(LAST))


def _sync_directory(directory: Path) -> None:
    """Makes the renames themselves survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _numbered(directory: Path) -> list[tuple[int, Path]]:
    """Numbered checkpoints, newest first."""
    matches = [(_NUMBERED.fullmatch(path.name), path) for path in directory.glob("checkpoint_*.pth.tar")]
    return sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)


def damage(path: Path) -> str | None:
    """Says why a file must not be used; None where every byte of its contents is as written."""
    try:
        with zipfile.ZipFile(path) as container:
            bad = container.testzip()
    # Damaged headers make zipfile raise almost anything, UnicodeDecodeError for one.
    except Exception as error:
        return f"damaged container ({error})"
    return f"checksum of member {bad} is wrong" if bad else None


def load(path: Path) -> dict[str, Any]:
    """Reads one checkpoint, ours or the official code's, without running anything in it.

    A .safetensors file is one with weights alone; its metadata may say the `arch`.

    Entries that official files lack are there afterwards, empty: `identity`, `totals`, `scaler`. A row of the
    joint-embedding frame has its publisher's names in the file; here they are ours, below `module.`. Raises
    PretrainError where the file is no checkpoint.
    """
    import torch

    if path.is_dir():
        raise PretrainError(f"{path}: is a folder; expected a checkpoint file{_inside(path)}")
    if not path.is_file():
        raise PretrainError(f"{path}: no such checkpoint file")
    if _is_converted(path):
        raise PretrainError(
            f"{path}: a converted backbone, no checkpoint of pre-training; expected a file such as {LAST}"
        )
    if zipfile.is_zipfile(path) and (reason := damage(path)):
        raise PretrainError(f"{path}: {reason}; use an earlier checkpoint")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about what foreign files hold
            contents = (
                _safetensors(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # the unpickler raises many classes on foreign files; all mean the same here
        raise PretrainError(f"{path}: {_why_unreadable(str(error))}; nothing in it was run") from None
    contents = _by_our_names(contents)
    if not isinstance(contents, dict) or not isinstance(contents.get("state_dict"), dict):
        raise PretrainError(
            f"{path}: expected a checkpoint of pretrain with a 'state_dict'; this file has none"
        )
    _require_layout(contents, path)
    return contents


def recorded_row(identity: Any) -> Any:
    """The row of the joint-embedding frame by which a run recorded that it was made, else None."""
    from pretrain.methods.choose import joint_row, row_names

    name = identity.get("mechanism") if isinstance(identity, dict) else None
    return joint_row(name, str(identity.get("arch"))) if name in row_names() else None


def _by_our_names(contents: Any) -> Any:
    if not isinstance(contents, dict) or not (row := recorded_row(contents.get("identity"))):
        return contents
    found = row.layout.read(contents)
    named = {PREFIX + name if isinstance(name, str) else name: value for name, value in found.items()}
    return {**contents, "state_dict": named}


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(str(path), "pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
        arch = (file.metadata() or {}).get("arch")
    return {"state_dict": state, **({"arch": arch} if arch else {})}


def _inside(directory: Path) -> str:
    """Names the newest checkpoint of a folder, ours or the official code's; empty where it has none."""
    last = directory / LAST
    found = [last] if last.exists() else sorted(directory.glob("checkpoint_*.pth.tar"))
    return f", such as {found[-1]}" if found else ", and found none in it"


def _is_converted(path: Path) -> bool:
    """Whether `converters` wrote the file, in any of its three forms; only looked at, never loaded."""
    mark, member = _CONVERTED
    try:
        with open(path, "rb") as file:
            if mark in file.read(1024):
                return True
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(member) for name in archive.namelist())
    except Exception:  # no archive, a damaged or a locked one: `load` says which
        return False


def _why_unreadable(text: str) -> str:
    """Replaces torch's paragraph about unsafe files, which advises to run them, by a line of ours."""
    if wanted := re.search(r"(?:GLOBAL|Unsupported class) ([^\s,;]+)", text):
        return f"not a checkpoint that can be read safely: it asks for {wanted[1]:.80}"
    return "not a checkpoint that can be read safely: damaged, or of another format"


def _require_layout(contents: dict[str, Any], path: Path) -> None:
    from torch import Tensor

    for name in ("identity", "totals", "scaler"):
        if not isinstance(contents.setdefault(name, {}), dict):
            raise PretrainError(f"{path}: its entry {name!r} is no dict; expected a checkpoint of pretrain")
    for name in ("iteration", "epoch"):
        if not isinstance(value := contents.get(name, 0), int) or value < 0:
            raise PretrainError(
                f"{path}: its entry {name!r} is {value!r:.40}; expected a number of at least 0"
            )
    for name, value in contents["state_dict"].items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise PretrainError(f"{path}: 'state_dict' holds {name!r:.40}, no named tensor")


def newest(directory: Path, warn: Callable[[str], None]) -> tuple[Path, dict[str, Any]] | None:
    """Finds the newest checkpoint of a run that verifies; `warn` is told of every damaged one passed over."""
    candidates = [path for _, path in _numbered(directory)]
    if (directory / LAST).exists():
        candidates.append(directory / LAST)
    for path in candidates:
        try:
            return path, load(path)
        except PretrainError as error:
            warn(f"skipping {error}")
    if candidates:
        raise PretrainError(
            f"{directory}: none of its {len(candidates)} checkpoints can be read; use another --output"
        )
    return None
