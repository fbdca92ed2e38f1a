"""Reads a study's file: a question, the sources that it needs, and steps that are command lines of ours."""

from __future__ import annotations

import difflib
import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.studies.sources import SOURCES, Source
from converters.command import typed
from results.record import SEED_MARK
from transfer.recipes.plain_yaml import YamlError, parse_yaml, read_text

STUDIES = Path(__file__).parent
SUITES = STUDIES / "suites"
DEMO = STUDIES.parent / "demo_kit"  # our own MoCo, as shipped
CHOSEN = STUDIES / "chosen.txt"  # of all studies, for their suites share one recipe
VARIABLE = "STUDY_DATA"  # by which the suites find the prepared sets
PLACES = ("data", "work", "output", "suites", "demo")  # what braces in a step may name
_FIELDS = {"question": str, "sources": list, "machine": str, "steps": list}
_OF_STEP: dict[str, tuple[type, ...]] = {
    "says": (str,),
    "run": (str,),
    "makes": (str,),
    "core_hours": (int, float),
    "each": (dict,),
}


@dataclass(frozen=True)
class Step:
    """One command: the words behind `python`, what it is for, and the file by which it is known to be done.

    core_hours: what it took on the study's machine, hours times cores. makes: "" where the command itself
    knows what is done, as `benchmarks.run` does.
    """

    says: str
    words: tuple[str, ...]
    makes: str
    core_hours: float

    @property
    def line(self) -> str:
        """The command as a user types it."""
        return typed(self.words)

    @property
    def done(self) -> bool:
        """Whether what it makes is there."""
        return bool(self.makes) and Path(self.makes).exists()


@dataclass(frozen=True)
class Study:
    """A study with its places filled in.

    chosen: how rates and lengths were chosen, on which split, with what budget. machine: that of the hours.
    """

    name: str
    question: str
    sources: tuple[Source, ...]
    chosen: str
    machine: str
    steps: tuple[Step, ...]


def study_names() -> list[str]:
    """The names of the studies."""
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def load_study(name: str, places: Mapping[str, str]) -> Study:
    """Reads the study of this name; `places` says what each of PLACES is. UsageError with file and field."""
    if name not in study_names():
        near = difflib.get_close_matches(name, study_names(), n=2, cutoff=0.4)
        nearest = f"nearest: {', '.join(near)}; " if near else ""
        raise UsageError(f"{name}: no such study; {nearest}--list shows all")
    return read_study(STUDIES / f"{name}.yaml", places)


def read_study(path: Path, places: Mapping[str, str]) -> Study:
    """As `load_study`, of any file."""
    try:
        content = parse_yaml(read_text(path))
    except OSError as error:
        raise UsageError(f"study {path}: {error.strerror}") from None
    except YamlError as error:
        raise UsageError(f"study {path}: {error}") from None
    _check(content, {name: (kind,) for name, kind in _FIELDS.items()}, f"study {path}", set(_FIELDS))
    unknown = [name for name in content["sources"] if name not in SOURCES]
    if unknown:
        raise UsageError(f"study {path}: sources: {unknown[0]!r} is unknown; known: {', '.join(SOURCES)}")
    steps = [
        step
        for n, one in enumerate(content["steps"], 1)
        for step in _steps(one, places, f"study {path}: step {n}")
    ]
    sources = tuple(SOURCES[name] for name in content["sources"])
    texts = (content["question"], CHOSEN.read_text(encoding="utf-8"), content["machine"])
    question, chosen, machine = (" ".join(text.split()) for text in texts)
    return Study(path.stem, question, sources, chosen, machine, tuple(steps))


def _steps(content: Any, places: Mapping[str, str], where: str) -> Iterator[Step]:
    """The step, or one for each entry of `each`.

    The braces of an entry are filled in before those of the places, so that a value may name a place.
    """
    _check(content, _OF_STEP, where, {"says", "run", "core_hours"})
    texts = [content.get(key, "") for key in ("says", "run", "makes")]
    for entry in _entries(content.get("each", {"": ""}), texts):
        known = ", ".join(f"{{{brace}}}" for brace in (*PLACES, *entry))
        # {seed} of no field is left to `benchmarks.run`: the file of each trial.
        entry = {place: f"{{{place}}}" for place in PLACES} | {"seed": f"{{{SEED_MARK}}}"} | entry
        try:
            says, run, makes = (text.format(**entry) for text in texts)
            # Word by word, so that a folder's name may hold spaces and quotes.
            words = tuple(word.format(**places) for word in shlex.split(run))
            yield Step(says, words, makes.format(**places), float(content["core_hours"]))
        except (KeyError, IndexError, ValueError) as error:
            raise UsageError(f"{where}: {error!r}; expected words of a command; braces: {known}") from None


def _entries(each: Mapping[Any, Any], texts: Sequence[str]) -> Iterator[dict[str, str]]:
    """The braces of each entry: {name} and {value}, or {name} and the fields of a value that has some.

    A field that is a list, and that `texts` have a brace for, makes an entry of each of its values.
    """
    for name, value in each.items():
        fields = value if isinstance(value, dict) else {"value": value}
        named = {key for key in fields if any(f"{{{key}}}" in text for text in texts)}
        lists = [one if isinstance(one, list) and key in named else [one] for key, one in fields.items()]
        for chosen in itertools.product(*lists):
            yield {"name": str(name)} | {key: str(one) for key, one in zip(fields, chosen, strict=True)}


def _check(content: Any, kinds: Mapping[str, tuple[type, ...]], where: str, needed: set[str]) -> None:
    if not isinstance(content, dict):
        raise UsageError(f"{where}: expected lines like `{next(iter(kinds))}: ...`, got {content!r:.60}")
    wrong = [f"{name} is missing" for name in sorted(needed - set(content))]
    wrong += [f"{name} is unknown" for name in sorted(map(str, set(content) - set(kinds)))]
    for name, kind in kinds.items():
        if name in content and not isinstance(content[name], kind):
            wrong.append(f"{name} is {content[name]!r:.60}; expected a {kind[-1].__name__}")
    if wrong:
        raise UsageError(f"{where}: {', '.join(wrong)}; the fields are {', '.join(kinds)}")
