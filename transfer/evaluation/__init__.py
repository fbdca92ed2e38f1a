"""Metrics of every task on plain predictions; no engine and no torch in here.

The names below are imported when they are asked for: `python -m transfer.evaluation` passes through this file
and must say in one line that numpy is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer.evaluation.evaluate import evaluate, evaluate_per_class, read_predictions, write_predictions
    from transfer.evaluation.prediction import Prediction

__all__ = ["Prediction", "evaluate", "evaluate_per_class", "read_predictions", "write_predictions"]
_ELSEWHERE = {"Prediction": "prediction"}  # the others are in `evaluate`


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    homes = {public: import_module(f"{__name__}.{_ELSEWHERE.get(public, 'evaluate')}") for public in __all__}
    # All at once, for the import has set `evaluate` to the module of that name.
    globals().update({public: getattr(home, public) for public, home in homes.items()})
    return globals()[name]
