"""Defines what is prepared: a set, its parts, what they are fetched from, and how a copy is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transfer.datasets.image_list.public.row import Remote

ROUGHLY = 4  # a part takes at most so many times the disk that is said of it


@dataclass(frozen=True)
class Part:
    """Lists what is fetched, unpacked, checked and moved into place together.

    places: its folders and files below the data root. remotes: what they come from. disk: bytes, unpacked,
    roughly. check: a root -> what it holds of the part, in a few words; DataError where that is not the part.
    """

    places: tuple[str, ...]
    remotes: tuple[Remote, ...]
    disk: int
    check: Callable[[Path], str]

    def missing(self, root: Path) -> list[str]:
        """The places that are not there."""
        return [place for place in self.places if not (root / place).exists()]

    @property
    def most(self) -> int:
        """Bytes that no file of it has: more is an endless stream, or an archive that swells."""
        return ROUGHLY * self.disk

    @property
    def to_fetch(self) -> int:
        """Bytes of what is fetched; about as many as are unpacked, where no size is published."""
        return sum(one.size for one in self.remotes) or self.disk


@dataclass(frozen=True)
class Wanted:
    """Describes a set of a name.

    about: what it is, whose, and on which terms. splits: the names that `load_dataset` reads it by. needs:
    the sets whose images it uses. by_hand: what to do where nothing can be downloaded.
    """

    name: str
    about: str
    parts: tuple[Part, ...]
    splits: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    by_hand: str = ""

    @property
    def places(self) -> list[str]:
        """All its folders and files below the data root."""
        return [place for part in self.parts for place in part.places]
