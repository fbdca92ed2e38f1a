"""The time of resolving recipes, which a plan does for every suite and init.

    python benchmarks/perf/plan.py [--rounds 5]

Two ways, in turns, in CPU seconds of this process. That of before copies yacs' tree of defaults, merges every
key of every file into it and flattens it for the checks. `load_recipe` resolves flat dicts, checks them and
makes the tree once. Both read the files anew, parse a text once and must give the same tree. Prints one JSON
object: milliseconds a recipe, the ratio to before, and the same for the facts of a manifest.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
TIMES = 50  # calls that are timed together


def by_yacs(name: str) -> Any:
    """A recipe of ours, merged key by key into yacs' own tree."""
    from yacs.config import CfgNode

    from transfer.recipes.resolve import RECIPES, flatten
    from transfer.recipes.values import check_values

    cfg, known = CfgNode(_read(RECIPES / "defaults.yaml")), flatten(_read(RECIPES / "defaults.yaml"))
    chain: list[dict[str, Any]] = []
    base: str | None = f"{name}.yaml"
    while base is not None:
        chain.append(_read((RECIPES / base).resolve()))
        base = chain[-1].pop("_BASE_", None)
    for layer in reversed(chain):
        for key, value in flatten(layer).items():
            cfg.merge_from_list([key, float(value) if type(known[key]) is float else value])
    check_values(flatten(cfg), name)
    return cfg


_parsed: dict[str, Any] = {}


def _read(path: Path) -> Any:
    from transfer.recipes.plain_yaml import parse_yaml, read_text

    text = read_text(path)
    if text not in _parsed:
        _parsed[text] = parse_yaml(text)
    return copy.deepcopy(_parsed[text])


def manifest_by_yacs(cfg: Any) -> Any:
    """A copy of the tree with the facts of the random init merged into it."""
    from transfer.recipes.facts_of_weights import MANIFEST_KEYS, RANDOM_MANIFEST

    cfg = cfg.clone()
    for field, key in MANIFEST_KEYS.items():
        cfg.merge_from_list([key, RANDOM_MANIFEST[field]])
    return cfg


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    start = time.process_time()
    for _ in range(TIMES):
        function(*arguments)
    return (time.process_time() - start) / TIMES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="of which the fastest counts (default 5)")
    rounds = parser.parse_args().rounds
    from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe

    result: dict[str, Any] = {}
    for name in ("voc_c4", "coco_fpn_6x", "voc_semantic"):
        assert by_yacs(name).dump() == load_recipe(name).dump(), name
        pairs = [(seconds(by_yacs, name), seconds(load_recipe, name)) for _ in range(rounds)]
        result[name] = _entry(*map(min, zip(*pairs, strict=True)))
    cfg = load_recipe("voc_c4")
    assert manifest_by_yacs(cfg).dump() == apply_manifest(cfg, RANDOM_MANIFEST).dump()
    pairs = [
        (seconds(manifest_by_yacs, cfg), seconds(apply_manifest, cfg, RANDOM_MANIFEST)) for _ in range(rounds)
    ]
    result["manifest"] = _entry(*map(min, zip(*pairs, strict=True)))
    print(json.dumps(result, indent=1))
    return 0


def _entry(before: float, now: float) -> dict[str, float]:
    times = {"before_ms": round(before * 1e3, 3), "now_ms": round(now * 1e3, 3)}
    return times | {"before_over_now": round(before / now, 1)}


if __name__ == "__main__":
    sys.exit(main())
