"""Gives a grid a random row for every shape of network in it, so that a gap to it is of the weights alone.

`random` is the usual network of the recipe's family. Beside inits of several shapes it stands for all of
them, so the shapes that it has not get a row each, as if `random@LABEL` had been asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from benchmarks.planning.init_names import LIKE
from benchmarks.planning.inits import Init
from converters.backbone import later_facts
from converters.networks.table import family_of, named
from transfer.recipes.family import Family
from transfer.recipes.own import OWN


def one_a_shape(inits: Sequence[Init], families: Iterable[Family]) -> tuple[list[Init], list[str]]:
    """The inits with the random rows that they lack, behind `random`; and a line for each that was added.

    `families` are those of the suites. Nothing is added without `random`, beside inits of one shape, or
    where the user asked for random rows of shapes himself.
    """
    plain = next((init for init in inits if init.plain and not init.absent), None)
    asked = any(init.backbone is None and init.shaped for init in inits)
    firsts: dict[str, Init] = {}  # shape -> the first row that has it
    for init in inits:
        if init.backbone is not None:
            firsts.setdefault(_shape(init.backbone.manifest), init)
    own = [init for init in inits if init.code is not None and not init.like]
    for init in own:
        firsts.setdefault(_module(init), init)  # two weights of one module have one random row
    if plain is None or asked or len(firsts) < 2 - bool(own):
        return list(inits), []
    usual = {_shape(plain.manifest(family)) for family in families}
    others = [init for shape, init in firsts.items() if {shape} != usual]
    lines = [
        f"init {init.label}: its callable loads its weights by itself, so no random row stands beside it"
        for init in others
        if init.code and init.code.loads_itself
    ]
    others = [init for init in others if not (init.code and init.code.loads_itself)]
    added = [_drawn_like(init) for init in others]
    lines += [f"init {LIKE}{init.label} is added: {plain.label} is of another shape" for init in others]
    place = next(number for number, init in enumerate(inits) if init is plain) + 1
    return [*inits[:place], *added, *inits[place:]], lines


def _drawn_like(init: Init) -> Init:
    label = f"{LIKE}{init.label}"
    return Init(label, None, like=init, code=init.code.bare(label) if init.code else None)


def _module(init: Init) -> str:
    """All that is said of a user's module but which weights it has."""
    assert init.code is not None
    facts = {field: init.code.manifest[field] for field in OWN.facts if field != "weights_sha256"}
    return json.dumps(["own", facts], sort_keys=True)


def _shape(manifest: dict[str, object]) -> str:
    """All that is said of a network but its values: equal text, equal random row."""
    family = family_of(manifest)
    facts = {fact.key: manifest.get(fact.key, fact.usual) for fact in family.facts}
    facts |= later_facts(manifest)
    return json.dumps([named(family), facts], sort_keys=True)
