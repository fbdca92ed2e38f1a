"""Names the parts of a row in its files as its publisher does, so that published scripts read them.

Inside of this program all rows share names: `backbone.*`, `projector.*`, `predictor.*`, `prototypes.*`, their
slow copies `target_*`, and `memory.*` for what a loss keeps between steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True)
class Layout:
    """The place of each part in a file, as "entry/prefix": a top entry, and what stands before the names.

    `own` are top entries that are always there; a converter may know the file by them. With `bare` a finished
    run leaves the encoder alone as ARCH.pth too, as the publisher's code does. `again` are second places, of
    parts that the publisher's file holds twice.
    """

    places: dict[str, str] = field(hash=False)
    own: tuple[str, ...] = ()
    bare: bool = False
    again: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def entries(self) -> tuple[str, ...]:
        """The top entries of a file that hold tensors."""
        return tuple(dict.fromkeys([place.partition("/")[0] for place in self.places.values()] + [*self.own]))

    def written(self, state: dict[str, Value]) -> dict[str, dict[str, Value]]:
        """Turns tensors by our names into top entries of a file."""
        found: dict[str, dict[str, Value]] = {entry: {} for entry in self.entries}
        for name, value in state.items():
            part, _, rest = name.partition(".")
            again = [place for twice, place in self.again.items() if twice == part]
            for place in (self.places[part], *again):
                entry, _, prefix = place.partition("/")
                found[entry][prefix + rest] = value
        return found

    def read(self, contents: dict[str, Any]) -> dict[str, Any]:
        """Turns the top entries of a file into tensors by our names; the longest prefix that fits is meant.

        A name that fits none keeps its own, so that whoever needs it misses it by that name.
        """
        state = {}
        for entry in self.entries:
            inside = contents.get(entry, {})
            prefixes = [
                (place.partition("/")[2], part)
                for part, place in [*self.places.items(), *self.again.items()]
                if place.partition("/")[0] == entry
            ]
            for name, value in inside.items() if isinstance(inside, dict) else ():
                fitting = [pair for pair in prefixes if isinstance(name, str) and name.startswith(pair[0])]
                prefix, part = max(fitting, key=lambda pair: len(pair[0]), default=("", ""))
                rest = name[len(prefix) :] if part else name
                state[".".join(filter(None, (part, rest)))] = value
        return state


def in_fc(encoder: str, target: str = "", fc: str = "fc", **more: str) -> Layout:
    """The layout of files whose projector is the encoder's last layer `fc`, in the one entry `state_dict`."""
    pairs = {"backbone": encoder, "target_backbone": target} if target else {"backbone": encoder}
    places = {part: f"state_dict/module.{name}." for part, name in pairs.items()}
    heads = {part.replace("backbone", "projector"): f"{place}{fc}." for part, place in places.items()}
    own = tuple(place for place in more.values() if not place.startswith("state_dict/"))
    return Layout({**places, **heads, **more}, tuple(place.partition("/")[0] for place in own))
