"""Finds every set of tensors of a known family inside an opened file, whatever it is wrapped in.

A candidate is (where the dictionary sits, the prefix of its names, the dialect), with its tensors by our
names, which are Detectron2's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from converters.containers.pickles.inert import Inert
from converters.containers.tensors import StoredTensor
from converters.errors import CheckpointError
from converters.networks import table
from converters.networks.family import Dialect, Family

# Names that wrappers put between the model and its parameters; removed as whole dotted segments at any depth.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
MAX_DEPTH = 12
MAX_VISITS = 300_000
MAX_PARTS = 20_000  # of a pickled module, which may hold itself
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
    family: Family
    dialect: Dialect
    tensors: dict[str, StoredTensor] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # ours -> the file's
    twice: list[tuple[str, str, str]] = field(default_factory=list)  # ours, and two names of the file for it

    @property
    def place(self) -> str:
        """The place in words for people: "state_dict:encoder_q.", "" for the top level."""
        return f"{self.path}:{self.prefix}" if self.path else self.prefix


def tensor_sets(root: Any) -> list[TensorSet]:
    """Every dictionary with tensors, outermost first. Each object is visited once: cycles do no harm."""
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
        yield from ((key if type(key) is str else str(key), child) for key, child in value.items())
    elif type(value) is Inert:
        fields = _fields(value)
        if fields:
            yield from zip(fields, value.args, strict=False)
            return
        parts = [value.entries, _state(value), value.args, value.items]
        holders = (value.entries, *value.args, *_state(value).values())
        inner = [part for part in holders if type(part) is dict and part]
        # A mapping class around one dictionary is that dictionary: its path has no extra step.
        for part in inner if len(inner) == 1 else parts:
            yield from _children(part)
    elif type(value) in (list, tuple) and len(value) <= 64:
        yield from ((str(index), child) for index, child in enumerate(value))


def _fields(value: Inert) -> tuple[str, ...]:
    """The field names of a named tuple: known ones, or as dill writes the class of one it cannot import."""
    maker = value.maker
    if maker is not None and maker.name.endswith("._create_namedtuple") and len(maker.args) > 1:
        names = maker.args[1]
        if type(names) in (list, tuple) and all(type(name) is str for name in names):
            return tuple(names)
    return FIELDS.get(value.name.rpartition(".")[2], ())


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
    for visits in range(MAX_PARTS):
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


@lru_cache(maxsize=1 << 16)
def strip_wrappers(name: str) -> str:
    """`module.encoder_q._orig_mod.bn1.bias` -> `encoder_q.bn1.bias`; only whole segments are removed."""
    parts = name.split(".")
    return ".".join([part for part in parts[:-1] if part not in WRAPPERS] + parts[-1:])


def find_candidates(tensors: TensorSet) -> list[Candidate]:
    """All candidates of one dictionary, the fullest first."""
    groups: dict[tuple[str, Family, str], Candidate] = {}
    for raw, tensor in tensors.tensors.items():
        name = strip_wrappers(raw)
        for (family, dialect, ours), before, ending in _readings(name):
            prefix = family.home(ours, before)
            group = groups.get((prefix, family, dialect.name))
            if group is None:
                group = Candidate(tensors.path, prefix, raw.removesuffix(ending), family, dialect)
                groups[prefix, family, dialect.name] = group
            if ours not in group.tensors:
                group.tensors[ours], group.names[ours] = tensor, raw
            elif not _same(group.tensors[ours], tensor):
                group.twice.append((ours, group.names[ours], raw))
    return sorted(groups.values(), key=lambda group: -len(group.tensors))


def _readings(name: str) -> Iterator[tuple[table.Word, str, str]]:
    """(word, prefix, rest) for the longest ending of `name` that is a word of each dialect."""
    for separator in ("/",) if "/" in name else (".",) if "." in name else (".", "/"):
        yield from _readings_by(name, separator)


def _readings_by(name: str, separator: str) -> Iterator[tuple[table.Word, str, str]]:
    for old, new in table.renamed(separator):
        name = name.replace(f"{separator}{old}{separator}", f"{separator}{new}{separator}")
    known, longest = table.words(separator), table.longest_word(separator)
    seen: set[tuple[Family, str]] = set()
    ends = name.rsplit(separator, longest)  # what is longer can be no word
    start = len(ends[0]) + 1 if len(ends) > longest else 0
    while start >= 0:
        for word in known.get(name[start:], ()):
            family, dialect, _ = word
            if (family, dialect.name) not in seen:
                seen.add((family, dialect.name))
                yield word, name[:start], name[start:]
        start = name.find(separator, start) + 1 or -1


def _same(first: StoredTensor, second: StoredTensor) -> bool:
    """The very same bytes of the file under two names."""
    return first.key is not None and (first.key, first.offset, first.shape) == (
        second.key,
        second.offset,
        second.shape,
    )
