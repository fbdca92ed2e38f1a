"""Words of a command line or calls of a program come in, and the answers of our packages go out.

It is installed as `moco_transfer`, with the command `moco-transfer` and the functions of `api`.

A wheel holds all our packages below `moco_transfer`, so no generic name (`results`, `transfer`) is installed.
They import each other by those names all the same: whoever imports `moco_transfer` has their folder in front
of `sys.path` from then on. In a checkout this folder stands for the package, and the checkout for the folder.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moco_transfer.api import *  # noqa: F403

NAME = "moco_transfer"
PACKAGES = ("pretrain", "converters", "transfer", "benchmarks", "results")
_HERE = Path(__file__).resolve().parent


def home() -> Path:
    """Returns the folder of our packages: this one in a wheel, the checkout elsewhere."""
    return _HERE if (_HERE / "transfer").is_dir() else _HERE.parents[1]


def enter() -> None:
    """Puts our packages in front of others of their names.

    ImportError names one that is imported already: two of a name cannot live in one process.
    """
    root = home()
    for name in PACKAGES:
        found = getattr(sys.modules.get(name), "__file__", None)
        if name in sys.modules and (found is None or Path(found).resolve() != root / name / "__init__.py"):
            raise ImportError(
                f"a package {name!r} is imported already ({found}), and {NAME} brings one of that name; "
                f"import {NAME} before it, or use the command moco-transfer, which has a process of its own"
            )
    if sys.path[:1] != [str(root)]:
        sys.path.insert(0, str(root))


def __getattr__(name: str) -> Any:
    """Imports the functions of `api` when the first of them is asked for."""
    if name.startswith("_") or name == "api":
        raise AttributeError(name)
    api = import_module(f"{__name__}.api")
    if name in api.__all__:
        return getattr(api, name)
    raise AttributeError(f"module {NAME!r} has no attribute {name!r}; it has {', '.join(api.__all__)}")


if __name__ == NAME:
    enter()
