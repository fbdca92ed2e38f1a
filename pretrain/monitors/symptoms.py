"""Says which numbers of a run are those of a collapse, and since when: no torch, no file but the log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE = 3  # measurements in a row; a fresh network shows the symptoms too, and loses them

# The bounds lie between runs that learn and the papers' ablations that collapse (docs/pretraining.md).
LEAST_STD, LEAST_RANK = 0.4, 0.08
LEAST_ENTROPY, MOST_ENTROPY = 0.04, 0.98


def symptoms(values: Mapping[str, float]) -> dict[str, str]:
    """The names of the values that tell of a collapse, with a reason each, such as "0.02, below 0.4"."""
    found = {}
    if values.get("feature_std", 1.0) < LEAST_STD:
        found["feature_std"] = f"{values['feature_std']:.2g}, below {LEAST_STD:g}: features are alike"
    if values.get("rank_share", 1.0) < LEAST_RANK:
        least = f"{LEAST_RANK:.0%} of what the batch allows"
        found["rankme"] = f"{values['rankme']:.3g}, below {least}: few directions are used"
    entropy = values.get("target_entropy", 0.5)
    if entropy < LEAST_ENTROPY:
        found["target_entropy"] = f"{entropy:.2g} of ln K, below {LEAST_ENTROPY:g}: targets are one class"
    if entropy > MOST_ENTROPY:
        found["target_entropy"] = f"{entropy:.3g} of ln K, above {MOST_ENTROPY:g}: targets say nothing"
    return found


@dataclass
class Course:
    """The symptoms of a run so far: name -> the iterations of the measurements in a row that show it."""

    shown: dict[str, list[int]] = field(default_factory=dict)

    def add(self, iteration: int, found: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Takes the symptoms of one measurement; returns those that are now a collapse, and those gone."""
        gone = [name for name, seen in self.shown.items() if name not in found and len(seen) >= PATIENCE]
        self.shown = {name: [*self.shown.get(name, []), iteration] for name in found}
        return [name for name, seen in self.shown.items() if len(seen) == PATIENCE], gone

    def lasting(self) -> list[str]:
        """The symptoms that are a collapse, announced already or not."""
        return [name for name, seen in self.shown.items() if len(seen) >= PATIENCE]

    def since(self, name: str) -> int:
        return self.shown[name][0]


def course_of(log: Path) -> Course:
    """The symptoms up to the end of a run's log.jsonl, so that a resumed run tells the same "since".

    Lines that cannot be read are passed over, as those that a crash cut short.
    """
    course = Course()
    for line in log.read_text().splitlines() if log.exists() else ():
        try:
            record = json.loads(line)
            if "feature_std" in record:
                course.add(record["iteration"], symptoms(record))
        except (ValueError, KeyError, TypeError):
            continue
    return course
