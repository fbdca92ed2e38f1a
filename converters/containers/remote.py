"""Tells a user who gives an address or a model's name how to get the file: nothing is fetched here."""

from __future__ import annotations

import os
import re
import shlex

# One slash is what pathlib leaves of two.
SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):/{1,2}(.*)", re.DOTALL)
MODEL = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*:[\w./-]+", re.ASCII)
# Names that `--init` of the benchmark fetches, and this package does not.
BY_NAME = ("timm/NAME", "hf/OWNER/NAME[@REVISION][:FILE]")
ADDRESS = "an address, not a file; download it first"
FILES = (".pth", ".pt", ".pkl", ".tar", ".npz", ".bin", ".ckpt", ".safetensors", ".th", ".npy")


def how_to_get(given: str) -> str:
    """The nature of `given` and the command that fetches it, "" where it looks like a local path."""
    address = SCHEME.fullmatch(given)
    scheme, rest = (address[1].lower(), address[2]) if address else ("", given)
    if scheme in ("http", "https"):
        file = re.split(r"[?#]", rest)[0].rstrip("/").partition("/")[2].rpartition("/")[2] or "model.pth"
        return f"{ADDRESS}: curl -fL -o {shlex.quote(file)} {shlex.quote(f'{scheme}://{rest}')}"
    owner_and_name = "/".join(rest.split("/")[:2])
    if (scheme == "hf" and MODEL.fullmatch(owner_and_name)) or (not scheme and _is_model(given)):
        folder = owner_and_name.partition("/")[2]
        what = ADDRESS if scheme else "no such file; if it is a HuggingFace model, download it first"
        return f"{what}: hf download {owner_and_name} --local-dir {folder}, and give that folder"
    if scheme:
        return f"{ADDRESS} and give its path"
    if HUB.fullmatch(given):
        net = f"torch.hub.load('{given}', 'resnet50')"
        command = f"python -c \"import torch; torch.save({net}.state_dict(), 'hub.pth')\""
        return f"no such file; if it is a torch.hub repository that you trust (its code runs): {command}"
    return ""


def _is_model(given: str) -> bool:
    """owner/model, where no folder `owner` is here and the end is no checkpoint's."""
    owner = given.partition("/")[0]
    return bool(MODEL.fullmatch(given)) and not given.lower().endswith(FILES) and not os.path.isdir(owner)
