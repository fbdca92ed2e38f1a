"""Opens inits: random weights, weights by name, a backbone, a raw checkpoint; each is a row."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning import address, hub
from benchmarks.planning.init_names import Wanted, read_inits
from benchmarks.planning.named_weights import KNOWN, at_hand, cached
from benchmarks.planning.own_code import OwnCode, introduce, open_code
from benchmarks.planning.pretrainings import check_files, file_of, told
from converters.backbone import Backbone, facts_of_weights, write_proven
from converters.certify.certificate import CERTIFICATE, standing
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.networks.sizes import RANDOM, described, facts_of_size
from converters.networks.table import family_of
from results.record import Checkpoints
from transfer.process import web
from transfer.recipes.architectures import architecture_of
from transfer.recipes.facts_of_weights import PIXELS, facts_of, moving, random_manifest
from transfer.recipes.family import Family


@dataclass(frozen=True)
class Init:
    """One row of the table; `backbone` is None for random initialisation."""

    label: str
    backbone: Backbone | None
    absent: str = ""  # the name of known weights that a dry run does not fetch
    like: Init | None = None  # whose shape and pixels a random row has
    facts: Mapping[str, Any] | None = None  # its shape as the user said it; without both: the recipe's usual
    code: OwnCode | None = None  # the user's own module; of a random row: that of the row that it is like
    checkpoints: Checkpoints | None = None  # which of a row's files it is, where each trial has its own
    by_seed: Mapping[int, Init] = field(default_factory=dict)  # of such a row its files; all have its shape

    def of_seed(self, seed: int) -> Init:
        """The init of the trial with that seed: the file of it where each has its own, otherwise this."""
        return self.by_seed[seed] if self.by_seed else self

    @property
    def shaped(self) -> bool:
        """Whether a random row was given its shape, by another row or in words."""
        return self.like is not None or self.facts is not None

    @property
    def plain(self) -> bool:
        """Whether it is `random` itself: no weights, no code, and the recipe's usual shape."""
        return self.backbone is None and self.code is None and not self.shaped

    @functools.cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights and what belongs to them, taken once; a plan asks for every suite and trial."""
        assert self.backbone is not None
        return self.backbone.content_sha256()

    def manifest(self, family: Family) -> dict[str, Any]:
        """The facts that are known of the weights, above all shape and pixels of their network."""
        if self.backbone is not None:
            return self.backbone.manifest
        if self.code is not None:
            like = {"like": self.like.label} if self.like else {}
            return {**self.code.manifest, **like}
        usual = random_manifest(family)
        if self.facts is not None:
            return {"source": "random", **self.facts, **{field: usual[field] for field in PIXELS}}
        if self.like is None:
            return usual
        shape = facts_of(self.like.manifest(family))
        return {"source": "random", "like": self.like.label, **shape}

    def identity(self, flat_recipe: dict[str, Any]) -> str:
        """Hash of all that moves the numbers: the weights; for `random` the shape and pixels of the net.

        Own code has the hashes of its files and of its weights among its facts.
        """
        if self.backbone is not None:
            return self.weights_sha256
        facts = moving(architecture_of(flat_recipe).family, flat_recipe)
        kind = "own code" if self.code and not self.like else "random"
        return hashlib.sha256(json.dumps([kind, facts], sort_keys=True).encode()).hexdigest()


def open_inits(texts: list[str], fetch: bool = True, seeds: Iterable[int] = (0,)) -> list[Init]:
    """All inits, those of @files too, in the order in which they were asked for.

    seeds: those of all trials; a row over pre-trainings opens their files, each once.
    Cheap refusals come first: labels, then all files that are not there, then those that are no checkpoints.
    Only then is anything fetched; unless `fetch`, known weights that are not in the cache stay `absent`.
    UsageError or CheckpointError says which init it is, and what to do.
    """
    wanted = read_inits(texts)
    seeds = sorted(set(seeds))
    for one in wanted:
        if one.is_pattern:
            check_files(one.path, f"{one.where}--init {one.text}", seeds)
    opened: dict[int, Init] = {}
    for number, one in sorted(enumerate(wanted), key=_turn):
        try:
            if one.like:
                other = next(opened[n] for n, row in enumerate(wanted) if row.label == one.like)
                bare = other.code.bare(one.text) if other.code else None
                opened[number] = Init(one.label, None, absent=other.absent, like=other, code=bare)
            else:
                opened[number] = _of_seeds(one, seeds) if one.is_pattern else _opened(one, fetch)
        except (UsageError, CheckpointError) as error:
            raise type(error)(f"{one.where}{error}") from None
    return [opened[number] for number in range(len(wanted))]


def _turn(numbered: tuple[int, Wanted]) -> int:
    """Files come first, then what is fetched or tried, then rows that need another row's shape."""
    one = numbered[1]
    return 2 if one.like else int(one.path in KNOWN or one.on_hub or one.is_address or one.is_code)


def _opened(one: Wanted, fetch: bool) -> Init:
    """The row of one init that stands by itself."""
    if one.path == "random":
        return Init(one.label, None)
    if one.path.startswith(RANDOM):
        return Init(one.label, None, facts=facts_of_size(one.path.removeprefix(RANDOM)))
    if one.is_code:
        return Init(one.label, None, code=open_code(one.path))
    if one.is_address:
        there = fetch or address.at_hand(one.path)
        opened = address.open_address(one.path) if there else None
        return Init(one.label, opened, absent="" if there else web.told(one.path))
    if one.on_hub:
        there = fetch or hub.at_hand(one.path)
        return Init(one.label, hub.open_hub(one.path)) if there else Init(one.label, None, absent=one.path)
    if one.path in KNOWN:
        there = fetch or at_hand(one.path)
        path = cached(one.path) if there else None
        return Init(one.label, open_checkpoint(path)) if path else Init(one.label, None, absent=one.path)
    return Init(one.label, open_checkpoint(one.path))


def _of_seeds(one: Wanted, seeds: list[int]) -> Init:
    """A row over pre-trainings: UsageError where its files are not of one network, or two are the same."""
    opened: dict[int, Init] = {}
    same: dict[str, int] = {}  # hash of weights -> the first seed that has them
    for seed in seeds:
        backbone = open_checkpoint(file_of(one.path, seed))
        init = Init(one.label, backbone, checkpoints={"pattern": told(one.path), "seed": seed})
        first = opened.setdefault(seeds[0], init).backbone
        assert first is not None
        if differing := _differing(first.manifest, backbone.manifest):
            files = f"{file_of(one.path, seeds[0])} and {file_of(one.path, seed)}"
            raise UsageError(
                f"--init {one.text}: {files} differ in {differing}; a row is of one network: give "
                "these files two patterns, or an init each"
            )
        if (other := same.setdefault(init.weights_sha256, seed)) != seed:
            files = f"{file_of(one.path, other)} and {file_of(one.path, seed)}"
            raise UsageError(
                f"--init {one.text}: {files} hold the same weights; expected a pre-training for each seed"
            )
        opened[seed] = init
    return Init(one.label, opened[seeds[0]].backbone, by_seed=opened)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first fact of shape or pixels in which two manifests differ, with both values; empty where none."""
    mine, others = ({"family": family_of(m).name, **_facts(m)} for m in (one, other))
    key = next((key for key in mine | others if mine.get(key) != others.get(key)), "")
    return key and f"{key} ({mine.get(key)} and {others.get(key)})"


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {fact.key: manifest.get(fact.key, fact.usual) for fact in facts_of_weights(family_of(manifest))}


def introduction(init: Init) -> Iterator[str]:
    """The lines that tell a user whose weights these are; none for `random` itself."""
    if init.like is not None:
        yield f"init {init.label}: drawn anew for each seed, in shape and pixels like {init.like.label}"
    if init.facts is not None:
        yield f"init {init.label}: drawn anew for each seed, {described(init.facts)}"
    if init.code is not None and init.like is None:
        yield from introduce(init.label, init.code)
    for seed, one in init.by_seed.items():
        yield from _told_weights(f"{init.label}, seed {seed}", one)
    if init.backbone is not None and not init.by_seed:
        yield from _told_weights(init.label, init)


def _told_weights(title: str, init: Init) -> Iterator[str]:
    assert init.backbone is not None
    m = init.backbone.manifest
    facts = f"{m['source']}, {m['encoder']} encoder, {m['num_tensors']} tensors, {m['input_format']}"
    yield f"init {title}: {facts}"
    if standing(m, init.weights_sha256) == "certified":
        yield f"  certified: it computes what {m[CERTIFICATE]['against']} does"
    for note in m["notes"]:  # the converter's: oddities, and what it decided for the user
        yield f"  {note}"


def store_backbone(init: Init, directory: Path) -> Path | None:
    """The backbone as a file that a run can load; written once, named by its content."""
    if init.backbone is None:
        return None
    path = directory / f"{slug(init.label)}-{init.weights_sha256[:12]}.pkl"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        # Proven and hashed when it was opened; the cell that loads the file proves it again.
        write_proven(init.backbone, path, init.weights_sha256)
    return path


def slug(label: str) -> str:
    """A label as part of a file name: letters and digits of any script, and . _ - ; at most 200 bytes."""
    name = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", label)).strip("_")
    return name.encode()[:200].decode(errors="ignore") or "init"
