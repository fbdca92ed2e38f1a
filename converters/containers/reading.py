"""Opens any checkpoint by its content, never by its extension, and names what is no checkpoint at all."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.containers.array_files import read_npz, read_safetensors
from converters.containers.file_bytes import Checked, FileBytes, Verification
from converters.containers.pickles.machine import read_pickle
from converters.containers.remote import how_to_get
from converters.containers.torch_files import LEGACY_MAGIC, about_tar, read_torch_legacy, read_torch_zip
from converters.containers.torch_script import read_torch_script
from converters.errors import CheckpointError

LEGACY_START = b"\x80\x02\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little")
HEAD = 512
NO_CHECKPOINT = (  # first bytes in lower case -> what the file is and what to do
    (
        b"version https://git-lfs",
        "a git-lfs pointer, not the weights; run `git lfs pull` or download the file itself",
    ),
    (b"<!doctype html", "a web page (HTML), not the weights; the download link needs a login or has moved"),
    (b"<html", "a web page (HTML), not the weights; the download link needs a login or has moved"),
    (b"<?xml", "an XML page, usually a download error; fetch the file again"),
    (b"\x1f\x8b", "gzip-compressed; unpack it first"),
    (b"bzh", "bzip2-compressed; unpack it first"),
    (b"\xfd7zxz", "xz-compressed; unpack it first"),
    (
        b"\x89hdf\r\n\x1a\n",
        "an HDF5 (Keras) file; load it in TensorFlow and save the arrays with numpy.savez",
    ),
    (b"\x93numpy", "one numpy array (.npy) without names; save all weights by name with numpy.savez"),
    (b"{", "a JSON text, not the weights"),
)
FOLDERS = (  # (a file name that such a folder holds, as a glob) -> what it is and what to do
    (
        "*.distcp",
        "a sharded torch.distributed checkpoint; merge it with `python -m torch.distributed.checkpoint."
        "format_utils dcp_to_torch FOLDER model.pth` and convert model.pth",
    ),
    ("*mp_rank_*", "a sharded DeepSpeed checkpoint; run its zero_to_fp32.py and convert the file it writes"),
    (
        "zero_pp_rank_*",
        "a sharded DeepSpeed checkpoint; run its zero_to_fp32.py and convert the file it writes",
    ),
    (
        "saved_model.pb",
        "a TensorFlow SavedModel; load it in TensorFlow and save its variables with numpy.savez",
    ),
    (
        "*.index",
        "a TensorFlow checkpoint; read it with tf.train.load_checkpoint and convert it with the publisher's "
        "PyTorch port first",
    ),
)
PREPROCESSING = "preprocessor_config.json"
# A folder's weights -> the table beside them that says what no tensor does.
WEIGHTS = {
    "model.safetensors": "config.json",
    "pytorch_model.bin": "config.json",
    "open_clip_model.safetensors": "open_clip_config.json",
    "open_clip_pytorch_model.bin": "open_clip_config.json",
}


@dataclass(frozen=True)
class Opened:
    """One file, described but hardly read.

    `verification.result()` must be asked before the contents are trusted, unless they prove themselves.
    """

    path: Path
    container: str  # "torch zip", "torchscript", "torch legacy", "pickle", "npz", "safetensors"
    root: Any
    verification: Verification
    foreign: tuple[str, ...] = ()  # names outside the closed table; none was imported or called
    config: dict[str, Any] = field(default_factory=dict)  # beside HuggingFace's or open_clip's weights
    preprocessing: dict[str, Any] = field(default_factory=dict)  # preprocessor_config.json beside them
    metadata: dict[str, Any] = field(default_factory=dict)  # safetensors', or the one that we add to torch's


def open_file(path: str | os.PathLike[str]) -> Opened:
    """The file's object with every tensor described. CheckpointError with the reason for anything else.

    No checksum is taken before `verification` is asked for it.
    """
    given = Path(path)
    if given.is_dir():
        given = _inside_folder(given)
    if not given.exists():
        raise CheckpointError(f"{os.fspath(path)}: {how_to_get(os.fspath(path)) or 'no such file'}")
    if not given.is_file():
        raise CheckpointError(f"{given}: not a regular file")
    try:
        file = FileBytes(given)
    except OSError as error:
        raise CheckpointError(f"{given}: cannot be read ({error.strerror})") from None
    try:
        found = _read(file)
    except CheckpointError as error:
        raise CheckpointError(f"{given}: {error}") from None
    settings = [_table(given.parent / name) for name in (WEIGHTS.get(given.name, ""), PREPROCESSING)]
    config, preprocessing = settings if given.name in WEIGHTS else ({}, {})
    verification, foreign = Verification(file, found.checks), tuple(sorted(found.foreign))
    return Opened(
        given, found.container, found.root, verification, foreign, config, preprocessing, found.metadata
    )


def input_files(path: str | os.PathLike[str]) -> list[Path]:
    """The files that `open_file` would read for this path."""
    given = Path(path)
    if not given.is_dir():
        return [given]
    names = (*WEIGHTS, *dict.fromkeys(WEIGHTS.values()), PREPROCESSING)
    return [given / name for name in names if (given / name).exists()]


@dataclass(frozen=True)
class _Contents:
    container: str
    root: Any
    foreign: set[str] = field(default_factory=set)
    checks: list[Checked] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


def _read(file: FileBytes) -> _Contents:
    if file.size == 0:
        raise CheckpointError("the file is empty")
    head = file.read(0, min(HEAD, file.size))
    # Before the texts: the length in front of the header may look like any letter.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < file.size:
        tensors, metadata = read_safetensors(file)
        return _Contents("safetensors", tensors, metadata=metadata)
    start = head.lstrip()[:64].lower()
    for signature, meaning in NO_CHECKPOINT:
        if start.startswith(signature):
            raise CheckpointError(meaning)
    if head[257:262] == b"ustar":
        raise CheckpointError(about_tar(file))
    if head.startswith(b"PK"):
        names = zip_names(file)
        if any(name.endswith(".npy") for name in names) and not any(
            name.endswith("data.pkl") for name in names
        ):
            arrays, checks = read_npz(file)
            return _Contents("npz", arrays, checks=checks)
        if any(name.endswith("/constants.pkl") for name in names):
            return _Contents("torchscript", *read_torch_script(file))
        return _Contents("torch zip", *read_torch_zip(file))
    if head.startswith(LEGACY_START):
        return _Contents("torch legacy", *read_torch_legacy(file, file.view()))
    # Protocols 0 and 1 have no magic: what is left is a pickle if it reads as one.
    try:
        root, end, foreign = read_pickle(file.view())
    except CheckpointError as error:
        if head[:1] == b"\x80":
            raise
        raise CheckpointError(f"no known checkpoint format (first bytes {head[:8].hex()}); {error}") from None
    if end != file.size:
        raise CheckpointError(f"a pickle that ends at byte {end} of {file.size}; what follows is unknown")
    return _Contents("pickle", root, foreign)


def zip_names(file: FileBytes) -> list[str]:
    """The members of a zip archive. CheckpointError if it is damaged."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(
            f"a damaged or truncated zip archive ({error}); fetch or copy the file again"
        ) from None


def _inside_folder(folder: Path) -> Path:
    """The weights file of a HuggingFace or open_clip folder; any other folder is refused by name."""
    for name, settings in WEIGHTS.items():
        if (folder / name).is_file():
            if not (folder / settings).is_file():
                raise CheckpointError(
                    f"{folder}: has {name} but no {settings}, which says what no tensor does"
                )
            return folder / name
    for pattern, meaning in FOLDERS:
        if any(folder.glob(pattern)):
            raise CheckpointError(f"{folder}: {meaning}")
    raise CheckpointError(
        f"{folder}: is a folder; expected a checkpoint file (or a HuggingFace model folder)"
    )


def _table(path: Path) -> dict[str, Any]:
    """A JSON file's table, {} where there is no such file."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: unreadable ({error})") from None
    if type(found) is not dict:
        raise CheckpointError(f"{path}: expected a table")
    return found
