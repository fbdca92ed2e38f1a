"""Compares a candidate with a complete network of its family: every tensor must be there once, no other."""

from __future__ import annotations

from dataclasses import dataclass

from converters.finding.candidates import Candidate, TensorSet, strip_wrappers
from converters.networks.family import ASIDE, COUNTER, Facts, Shape, Shapes
from converters.networks.table import roots
from converters.printable import LONGEST_NAME, printable

WORTH_A_LOOK = 50  # below, it is a few norms of a head and not a network with something added
STATISTICS = (".running_mean", ".running_var")


@dataclass(frozen=True)
class Account:
    """The comparison of one candidate with the network that explains it best."""

    candidate: Candidate
    facts: Facts  # of that network
    expected: Shapes  # all its tensors, by our names
    stored: Shapes  # what a file of this dialect holds of it, by the dialect's own names
    missing: tuple[str, ...]
    wrong_shape: tuple[str, ...]
    unexpected: tuple[str, ...]
    twice: tuple[str, ...]
    counters_missing: int
    shapes: Shapes  # as found, by the dialect's own names

    @property
    def fused(self) -> bool:
        """All is there but the running statistics: norms that were fused into affine maps."""
        statistics = {name for name in self.stored if name.endswith(STATISTICS)}
        other = self.wrong_shape or self.unexpected or self.twice
        return bool(statistics) and set(self.missing) == statistics and not other

    @property
    def complete(self) -> bool:
        return not (self.missing or self.wrong_shape or self.unexpected or self.twice)

    @property
    def score(self) -> int:
        """Tensors in their place; the report on a partial match is about the candidate with the most."""
        parts = sum(not name.startswith(ASIDE) for name in self.candidate.tensors)
        return parts - len(self.wrong_shape) - len(self.unexpected)

    def difference(self) -> str:
        """One line: what keeps it from being complete."""
        groups = [
            ("missing", self.missing),
            ("wrong shape", self.wrong_shape),
            ("unexpected", self.unexpected),
            ("twice", self.twice),
        ]
        told = [
            f"{len(names)} {what}: {', '.join(printable(name, LONGEST_NAME) for name in names[:3])}"
            for what, names in groups
            if names
        ]
        return (
            f"{max(self.score, 0)} of {len(self.stored)} tensors of a "
            f"{self.candidate.family.label(self.facts)} fit; " + "; ".join(told)
        )


def account(candidate: Candidate, tensors: TensorSet) -> Account:
    """The account of `candidate` among all `tensors` of its dictionary."""
    shapes = {name: _our_shape(candidate, name) for name in candidate.tensors}
    facts = candidate.family.closest(candidate.dialect.likened(shapes))
    expected = candidate.family.shapes(facts)
    stored = candidate.dialect.stored(expected, facts)
    names = candidate.names
    missing = [name for name in stored if name not in shapes]
    counters = [name for name in missing if name.endswith(COUNTER)]
    wrong = [
        f"{names[name]} {shapes[name]} instead of {stored[name]}"
        for name in shapes
        if name in stored and not _fits(name, shapes[name], stored[name])
    ]
    unexpected = [names[name] for name in shapes if name not in stored and not name.startswith(ASIDE)]
    if len(shapes) >= WORTH_A_LOOK:
        unexpected += left_inside(candidate, tensors, shapes)
    twice = [f"{first} and {second}" for _, first, second in candidate.twice]
    return Account(
        candidate,
        facts,
        expected,
        stored,
        tuple(name for name in missing if not name.endswith(COUNTER)),
        tuple(wrong),
        tuple(unexpected),
        tuple(twice),
        len(counters),
        shapes,
    )


def left_inside(candidate: Candidate, tensors: TensorSet, shapes: Shapes) -> list[str]:
    """Names beside the known ones within the network's own parts (an SE layer in layer1, say); no heads.

    `shapes` are those of the known ones, by the dialect's own names.
    """
    dialect = candidate.dialect
    known = set(candidate.names.values()) | {second for _, _, second in candidate.twice}
    inside = roots(dialect)
    left = []
    for raw in tensors.tensors:
        if raw in known:
            continue
        name = strip_wrappers(raw)
        if not name.startswith(candidate.prefix):
            continue
        rest = name[len(candidate.prefix) :]
        if rest.endswith(dialect.silent) or dialect.reason(rest, shapes):
            continue
        if dialect.beside or rest.replace("/", ".").split(".")[0] in inside:
            left.append(raw)
    return left


def dropped(entry: Account, tensors: TensorSet) -> list[tuple[str, str]]:
    """(name in the file, reason) of all behind the prefix that is left out, as far as the dialect has one."""
    candidate = entry.candidate
    taken = {name for ours, name in candidate.names.items() if not ours.startswith(ASIDE)}
    left = [raw for raw in tensors.tensors if raw not in taken]
    names = {raw: strip_wrappers(raw) for raw in left}
    rests = {
        raw: name[len(candidate.prefix) :] for raw, name in names.items() if name.startswith(candidate.prefix)
    }
    reasons = ((raw, candidate.dialect.reason(rest, entry.shapes)) for raw, rest in rests.items())
    return [(raw, why) for raw, why in reasons if why]


def _our_shape(candidate: Candidate, name: str) -> Shape:
    """As PyTorch would store it: kernels out, in, height, width; norms flat."""
    shape = candidate.tensors[name].shape or ()
    if not candidate.dialect.channels_last or len(shape) != 4:
        return shape
    if ".norm." in name:
        return shape[3:] if shape[:3] == (1, 1, 1) else shape
    return (shape[3], shape[2], shape[0], shape[1])


def _fits(name: str, shape: Shape, expected: Shape) -> bool:
    return shape == expected or (name.endswith(COUNTER) and shape == (1,))
