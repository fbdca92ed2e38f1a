"""Holds one number of a table and prints it as people read it: "55.9 ± 0.2 (5) [+2.4**]"."""

from __future__ import annotations

from dataclasses import dataclass

# The papers print gaps of at least half a point to the supervised row in green; we add the same in red.
COLORED_FROM = 0.5
STARS = ((0.01, "**"), (0.05, "*"))
# Metrics of which less is better, by what follows the task.
LOWER = ("mCE", "relative_mCE", "ECE", "ECE_scaled", "RMSE", "drop", "error", "relative")


@dataclass(frozen=True)
class TableCell:
    """One number of a table, or the word that stands in its place.

    `value` and `std` are mean and deviation over `n` of `total` trials, in per cent. `printed` is a published
    number as its paper prints it; `state` says why there is no number. `gap` is the difference to the
    supervised row, `p` its p-value where a test was possible, and `test` says which. The stars are those of
    `p_holm`, corrected for the number of rows that are held against the supervised one. `ends`: of the 95 %
    interval of one trial over test images. `seen`: the smallest gap that a test over images could see.
    `lower`: less is better.
    """

    value: float | None = None
    std: float | None = None
    n: int = 0
    total: int = 0
    printed: str = ""
    state: str = ""
    gap: float | None = None
    p: float | None = None
    p_holm: float | None = None
    test: str = ""
    ends: tuple[float, float] | None = None
    seen: float | None = None
    lower: bool = False

    @property
    def text(self) -> str:
        """As people read it: "55.9 ± 0.2 (5) [+2.4**]", "55.9 (4/5)", "81.5 [-0.3]", "failed"."""
        return self.number if self.gap is None else f"{self.number} [{signed(self.gap)}{self._stars}]"

    @property
    def number(self) -> str:
        """The text without the gap: "55.9 ± 0.2 (5)", "55.9 [54.8, 57.1] (1)"."""
        if self.printed or self.value is None:
            return self.printed or self.state
        spread = "" if self.std is None else f" ± {self.std:.1f}"
        spread += f" [{self.ends[0]:.1f}, {self.ends[1]:.1f}]" if self.ends else ""
        count = f"{self.n}" if self.n == self.total else f"{self.n}/{self.total}"
        return f"{self.value:.1f}{spread} ({count})"

    @property
    def _stars(self) -> str:
        if self.p_holm is None:
            return ""
        return next((stars for limit, stars in STARS if self.p_holm < limit), " ns")

    @property
    def tone(self) -> str:
        """ "good", "bad" or "": the colour of the gap."""
        if self.gap is None or abs(round(self.gap, 1)) < COLORED_FROM:
            return ""
        return "good" if (self.gap > 0) != self.lower else "bad"


def less_is_better(metric: str) -> bool:
    """Whether a flat name is of a metric of errors: "calib/ECE"."""
    return metric.rpartition("/")[2] in LOWER


def signed(value: float) -> str:
    """One decimal with its sign, and no negative zero."""
    text = f"{value:+.1f}"
    return "+0.0" if text == "-0.0" else text
