"""Finds the files of a row over pre-trainings: `{seed}` in a path stands for the seed of each trial."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from benchmarks.errors import UsageError
from results.record import SEED_MARK

SHOWN = 8  # seeds of files that a line lists


def is_pattern(path: str) -> bool:
    """Whether a path is a pattern of files; one that is a file by its very name is that file."""
    return SEED_MARK in path and not there(path)


def there(path: str) -> bool:
    """Whether there is a file of this path."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a name of 300 characters, or one with NUL
        return False


def file_of(pattern: str, seed: int) -> str:
    """The file of a seed: its number in every place, as 0, 1, ... 10."""
    return pattern.replace(SEED_MARK, str(seed))


def seeds_there(pattern: str) -> list[int]:
    """The seeds that have a file, in order."""
    parts = re.sub("/{2,}", "/", pattern).split(SEED_MARK)  # as glob spells what it finds
    first, *rest = map(re.escape, parts)
    form = rf"{first}(0|[1-9]\d*)" + r"\1".join(rest)
    try:
        found = glob.glob("*".join(map(glob.escape, parts)))
    except (OSError, ValueError):  # NUL
        return []
    matches = (re.fullmatch(form, path, re.DOTALL) for path in found)
    return sorted(int(match[1]) for match in matches if match)


def check_files(pattern: str, said: str, seeds: Iterable[int]) -> None:
    """Refuses a pattern that lacks the file of one of these seeds; `said` is the init as it was written."""
    known = seeds_there(pattern)
    absent = [seed for seed in seeds if seed not in known]
    if absent:
        raise UsageError(
            f"{said}: no {file_of(pattern, absent[0])} for the trial of seed {absent[0]}; there are files of "
            f"{_listed(known)}: choose among these by --trials N and --seed N"
        )


def _listed(seeds: list[int]) -> str:
    word = "seed" if len(seeds) == 1 else "seeds"
    rest = f" and {len(seeds) - SHOWN} more" if len(seeds) > SHOWN else ""
    return f"{word} {', '.join(map(str, seeds[:SHOWN]))}{rest}"


def told(pattern: str) -> str:
    """The pattern from its first part with `{seed}` on: the folders above it are those of one machine."""
    parts = PurePath(pattern).parts
    first = next(number for number, part in enumerate(parts) if SEED_MARK in part)
    return "/".join(parts[first:])


def label_of(pattern: str) -> str:
    """The name of the row where none was given: of the part with `{seed}`, without it and what leads to it.

    `runs/simclr_s{seed}/last.pth` is simclr. Where nothing is left it is the name of the file, then of the
    folders, the nearest first.
    """
    parts = PurePath(pattern).parts
    marked = [part for part in parts if SEED_MARK in part]
    names = (_without_seed(part) for part in (*marked, *reversed(parts)))
    return next((name for name in names if name), "")


def _without_seed(part: str) -> str:
    """ "simclr" of simclr_s{seed}.pth.tar, simclr-seed{seed} and {seed}_simclr."""
    mark = re.escape(SEED_MARK)
    name = re.sub(rf"(?:(?:^|(?<=[_.@-]))(?:seed|s)[_-]?)?{mark}", "", part.split(".")[0] or part)
    return name.strip("_.@-/")
