"""Finds every set of ResNet tensors inside an opened file, whatever it is wrapped in.

A candidate is (where the dictionary sits, the prefix of its names, the dialect) with its tensors under
Detectron2's names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from converters.dialects import DIALECTS, vocabulary
from converters.errors import CheckpointError
from converters.pickle_objects import Inert
from converters.tensors import StoredTensor

# Names that wrappers put between the model and its parameters; removed as whole dotted segments at any depth.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
MAX_DEPTH = 12
MAX_VISITS = 300_000
# The fields of DeepMind's state, which the pickle gives by position.
FIELDS = {
    "_ByolExperimentState": ("online_params", "target_params", "online_state", "target_state", "opt_state"),
    "_EvalExperimentState": ("backbone_params", "classif_params", "backbone_state", "backbone_opt_state"),
}


@dataclass
class TensorSet:
    """The tensors of one dictionary; `path` is where it sits ("state_dict", "" for the top)."""

    path: str
    tensors: dict[str, StoredTensor]


@dataclass
class Candidate:
    """Tensors of one dictionary, one prefix and one dialect, by relative Detectron2 name."""

    path: str
    prefix: str  # without wrapper segments
    raw_prefix: str  # as in the file
    dialect: str
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # ours -> the file's
    twice: list[tuple[str, str, str]] = field(default_factory=list)  # ours, and two names of the file for it

    @property
    def place(self) -> str:
        return f"{self.path}:{self.prefix}" if self.path else self.prefix


def tensor_sets(root: Any) -> list[TensorSet]:
    """Every dictionary with tensors, outermost first. Each object is visited once, so cycles and sharing are
    harmless.
    """
    found: list[TensorSet] = []
    seen: set[int] = set()
    queue: list[tuple[str, Any, int]] = [("", root, 0)]
    for visits in range(MAX_VISITS):
        if visits >= len(queue):
            break
        path, value, depth = queue[visits]
        if id(value) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(value))
        if type(value) is Inert and "_modules" in _state(value):
            found.append(TensorSet(path, dict(_module_tensors(value))))
            continue
        children = list(_children(value))
        tensors = {name: child for name, child in children if _is_tensor(child)}
        nested = _two_level(children)
        if nested:
            found.append(TensorSet(path, nested))
            continue
        if tensors:
            found.append(TensorSet(path, tensors))
        for name, child in children:
            if isinstance(child, (dict, list, tuple, Inert)):
                queue.append((f"{path}.{name}" if path else name, child, depth + 1))
    return _with_states(found)


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is dict:
        yield from ((str(key) if type(key) is not str else key, child) for key, child in value.items())
    elif type(value) is Inert:
        yield from _children(value.entries)
        yield from _children(_state(value))
        fields = FIELDS.get(value.name.rpartition(".")[2])
        yield from _children(dict(zip(fields, value.args, strict=False)) if fields else value.args)
        yield from _children(value.items)
    elif type(value) in (list, tuple) and len(value) <= 64:
        yield from ((str(index), child) for index, child in enumerate(value))


def _state(value: Inert) -> dict:
    state = value.state
    if type(state) is tuple and len(state) == 2 and type(state[0]) is dict:
        state = state[0]  # (dict, slots)
    return state if type(state) is dict else {}


def _is_tensor(value: Any) -> bool:
    return type(value) is StoredTensor and value.shape is not None


def _two_level(children: list[tuple[str, Any]]) -> dict[str, StoredTensor]:
    """Haiku's parameters: {module name with slashes: {parameter: array}}, flattened with '/'."""
    flat: dict[str, StoredTensor] = {}
    for module, parameters in children:
        if "/" in module and isinstance(parameters, (dict, Inert)):
            for name, tensor in _children(parameters):
                if _is_tensor(tensor):
                    flat[f"{module}/{name}"] = tensor
    return flat


def _with_states(sets: list[TensorSet]) -> list[TensorSet]:
    """Haiku keeps running statistics beside the parameters: `online_state` joins `online_params`."""
    by_path = {tensors.path: tensors for tensors in sets}
    for tensors in sets:
        if tensors.path.endswith("_params"):
            state = by_path.get(tensors.path.removesuffix("_params") + "_state")
            if state is not None:
                tensors.tensors = {**state.tensors, **tensors.tensors}
    return sets


def _module_tensors(module: Inert) -> Iterator[tuple[str, StoredTensor]]:
    """The tensors of a pickled torch module (an inert placeholder here) under their state dict names."""
    queue: list[tuple[Any, str]] = [(module, "")]
    for visits in range(MAX_VISITS):
        if visits >= len(queue):
            return
        value, prefix = queue[visits]
        if type(value) is not Inert or prefix.count(".") > 2 * MAX_DEPTH:
            continue
        state = _state(value)
        for group in ("_parameters", "_buffers"):
            yield from ((prefix + name, t) for name, t in _children(state.get(group)) if _is_tensor(t))
        queue.extend((child, f"{prefix}{name}.") for name, child in _children(state.get("_modules")))
    raise CheckpointError("a pickled module with absurdly many parts")


def strip_wrappers(name: str) -> str:
    """`module.encoder_q._orig_mod.conv1.weight` -> `encoder_q.conv1.weight`; only whole segments are
    removed."""
    parts = name.split(".")
    return ".".join([part for part in parts[:-1] if part not in WRAPPERS] + parts[-1:])


def find_candidates(tensors: TensorSet) -> list[Candidate]:
    """All candidates of one dictionary, the fullest first."""
    groups: dict[tuple[str, str], Candidate] = {}
    for raw, tensor in tensors.tensors.items():
        name = strip_wrappers(raw)
        for dialect in DIALECTS:
            spelled = name
            for old, new in dialect.renamed:
                spelled = spelled.replace(f"/{old}/", f"/{new}/")
            split = _split(spelled, vocabulary(dialect.name), "/" if dialect.channels_last else ".")
            if split is None:
                continue
            prefix, ours = split
            ending = spelled[len(prefix) :]
            raw_prefix = raw.removesuffix(ending)
            if ours.startswith("res5.") and prefix.endswith("roi_heads."):
                prefix = prefix.removesuffix("roi_heads.") + "backbone."  # C4 keeps res5 in its head
            group = groups.setdefault(
                (prefix, dialect.name), Candidate(tensors.path, prefix, raw_prefix, dialect.name)
            )
            if ours in group.tensors and _same(group.tensors[ours], tensor):
                continue
            if ours in group.tensors:
                group.twice.append((ours, group.names[ours], raw))
            else:
                group.tensors[ours], group.names[ours] = tensor, raw
    return sorted(groups.values(), key=lambda group: -len(group.tensors))


def _same(first: StoredTensor, second: StoredTensor) -> bool:
    """The very same bytes of the file under two names."""
    return first.key is not None and (first.key, first.offset, first.shape) == (
        second.key,
        second.offset,
        second.shape,
    )


def _split(name: str, words: dict[str, str], separator: str) -> tuple[str, str] | None:
    """(prefix, our name) for the longest ending of `name` that is a word, cut only at separators."""
    start = 0
    while True:
        ours = words.get(name[start:])
        if ours is not None:
            return name[:start], ours
        cut = name.find(separator, start)
        if cut < 0:
            return None
        start = cut + 1
