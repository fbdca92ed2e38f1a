"""Warns of signs in a ResNet's weights that it never trained, or only a little; none is a refusal."""

from __future__ import annotations

from converters.networks.family import COUNTER, Weights

# Strength varies by 6 % over the filters of a fresh stem (147 normal numbers each), by 50 % when trained.
FRESH_SPREAD = 0.08


def untouched(weights: Weights) -> str:
    """Warns of untouched statistics, which the first batch moves, or norms, which the first step moves."""

    def all_equal(ending: str, value: float) -> bool:
        return all((array == value).all() for name, array in weights.items() if name.endswith(ending))

    if all_equal(".running_mean", 0) and all_equal(".running_var", 1):
        return "all running statistics are 0 and 1: no batch ever went through this network"
    if all_equal(".norm.bias", 0) and all_equal(".conv1.norm.weight", 1):
        return "all norms still have weight 1 and bias 0: this network never took a training step"
    last = ".conv3.norm.weight" if "res2.0.conv3.norm.weight" in weights else ".conv2.norm.weight"
    if all_equal(last, 0):
        return "the last norm of every block is 0, as a zero-initialised residual that never trained"
    return ""


def dead_channels(weights: Weights) -> str:
    """Warns of channels without variance, which give the same number for every image."""
    dead = sum(int((array == 0).sum()) for name, array in weights.items() if name.endswith(".running_var"))
    return f"{dead} channels have running variance 0 (dead filters)" if dead else ""


def fresh_stem(weights: Weights) -> str:
    """Warns of stem filters that are all nearly as strong: trained ones differ much, fresh ones do not."""
    stem = weights["stem.conv1.weight"]
    spread = stem.reshape(stem.shape[0], -1).std(axis=1)
    if len(spread) >= 16 and spread.std() < FRESH_SPREAD * spread.mean():
        return (
            "the stem's filters all have the same strength, as freshly initialised ones have: little trained?"
        )
    return ""


def uncounted(weights: Weights) -> str:
    """Warns of norms without counted batches: PyTorch counts them, a converter from elsewhere cannot."""
    counters = [array for name, array in weights.items() if name.endswith(COUNTER)]
    if any(int(array) for array in counters):
        return ""
    return "all batch counters are 0: statistics come from another framework or a converter; check the pixels"


WARNINGS = (untouched, dead_channels, fresh_stem, uncounted)
