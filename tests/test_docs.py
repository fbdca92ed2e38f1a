"""Every command on every page exists as it is written there, and each block is run or says why it is not."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import importlib.util
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.arguments import split_overrides
from benchmarks.front.__main__ import main as front
from benchmarks.planning.suite import groups, suite_names
from converters.command import VERBS
from tests.benchmarks.own_kit import write_kit
from tests.conftest import ROOT
from tests.docs_commands import PAGES, Block, blocks, commands, in_text
from tests.source import OURS
from transfer.recipes.resolve import flatten, load_recipe

BY_NAME = {page.name: page for page in PAGES}
BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [block for block in BLOCKS if block.mark == "run"]
CHECKPOINT = re.compile(r"[\w./]+\.(?:pth\.tar|pkl|pth)\b")
REFERENCE = ROOT / "results" / "reference" / "pretrained_against_random"


class Parsed(BaseException):
    """Ends a command whose options are read: nothing of it is done."""

    def __init__(self, options: argparse.Namespace):
        self.options = options


def test_each_block_is_run_or_says_why_not() -> None:
    unmarked = [block.place for block in BLOCKS if not block.mark]
    assert not unmarked, f"put <!-- run --> or <!-- not run: REASON --> above: {unmarked}"
    assert not [block.place for block in BLOCKS if block.mark == "not run" and not block.words]


@pytest.mark.parametrize("name", BY_NAME)
def test_each_command_exists(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verbs, modules, options, suites and keys are those that our own parsers take."""
    page = BY_NAME[name]
    written = [(block.place, block.text) for block in blocks(page) if block.language != "python"]
    stop_when_parsed(monkeypatch)
    wrong = [
        f"{place}: {' '.join(words)}: {says}"
        for place, text in [*written, *in_text(page)]
        for words in commands(text)
        if (says := refusal(words, monkeypatch))
    ]
    assert not wrong, "\n".join(wrong)


def stop_when_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the outermost parser raise what it read; parsers of subcommands are called by it."""
    depth = 0

    def stopping(read: Any) -> Any:
        def parse(*arguments: Any) -> Any:
            nonlocal depth
            depth += 1
            try:
                found = read(*arguments)
            finally:
                depth -= 1
            if depth:
                return found
            raise Parsed(found[0] if isinstance(found, tuple) else found)

        return parse

    for name in ("parse_args", "parse_known_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, stopping(getattr(argparse.ArgumentParser, name)))


def refusal(words: list[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Why a command cannot be meant; nothing where it can, or where it is another program's."""
    if words[:1] == ["make"]:
        return no_targets([word for word in words[1:] if "=" not in word])
    found = ours(words)
    if found is None:
        return ""
    module, given = found
    if not module:
        return f"{words[1]} is no verb"
    if module.startswith("tests."):
        return "" if importlib.util.find_spec(module) else "no such module"
    if module.startswith(
        "benchmarks.perf."
    ):  # they import much at their top, and are no commands of a user's
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
        absent = [word for word in given if word.startswith("-") and f'"{word}"' not in source]
        return f"no option {absent[0]}" if absent else ""
    monkeypatch.setattr(sys, "argv", [module, *(word for word in given if word != "...")])
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed), contextlib.redirect_stdout(printed):
            code = main_of(module)()
    except Parsed as parsed:
        return unknown(parsed.options, given) if module == "benchmarks.run" else ""
    except (SystemExit, ImportError) as error:
        code = error
    says = printed.getvalue().strip() or repr(code)
    if not code:  # it takes no options and printed something
        return ""
    # A command that a page only mentions, or shortens by "...", may lack what it needs.
    bare = "..." in given or not any(word.startswith("-") for word in given)
    lacks = re.search(r"required|expected at least one|are needed", says)
    return "" if "--help" in given or (bare and lacks) else says


def ours(words: list[str]) -> tuple[str, list[str]] | None:
    """(the module of ours that is run, its words), the module empty for no verb; None for another's."""
    if words[:1] == ["moco-transfer"]:
        verb, *rest = words[1:]
        if verb in ("--help", "--version", "completion", "VERB"):
            return None
        row = VERBS.get(verb)
        return (row.module, [*row.words, *rest]) if row else ("", rest)
    if words[:1] == ["python"] and words[1].endswith(".py"):
        return words[1].removesuffix(".py").replace("/", "."), words[2:]
    if words[:1] in (["python"], ["torchrun"]) and "-m" in words:
        at = words.index("-m")
        module = words[at + 1].removeprefix("moco_transfer.")
        return (module, words[at + 2 :]) if module.partition(".")[0] in (*OURS, "tests") else None
    return None


def main_of(module: str) -> Any:
    package = importlib.util.find_spec(module)
    inner = package is not None and package.submodule_search_locations is not None
    return importlib.import_module(f"{module}.__main__" if inner else module).main


def unknown(args: argparse.Namespace, given: list[str]) -> str:
    """Names the suite or the overridden key that there is not."""
    for name in args.suite or ():
        if name not in known_suites() and not name.endswith(".yaml"):
            return f"no suite {name}"
    return "".join(f"no key {key}" for key, _ in split_overrides(given)[1] if key not in known_keys())


@functools.cache
def known_suites() -> set[str]:
    return {*suite_names(), *groups(), "NAME"}


@functools.cache
def known_keys() -> set[str]:
    return set(flatten(load_recipe("voc_c4")))


def no_targets(targets: list[str]) -> str:
    """Names the target that the Makefile has not."""
    rules = re.findall(r"^(\S+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    known = [
        re.compile(re.escape(rule).replace("%", ".+").replace(r"\$\(INSTALLED\)", ".venv/.installed"))
        for rule in rules
    ]
    return "".join(f"no target {target}" for target in targets if not any(k.fullmatch(target) for k in known))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, narrow_backbone: Path) -> Iterator[Path]:
    """Where blocks are run: with records in runs/demo, and a small backbone for each checkpoint named."""
    place = tmp_path_factory.mktemp("docs")
    shutil.copytree(REFERENCE, place / "runs" / "demo")
    for block in RUN:
        for name in CHECKPOINT.findall(block.text):
            if not (place / name).exists():
                (place / name).symlink_to(narrow_backbone)
    write_kit(place)
    before = Path.cwd()
    os.chdir(place)
    yield place
    os.chdir(before)


@pytest.mark.parametrize("block", RUN, ids=[block.place for block in RUN])
def test_it_runs(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if block.language == "python":
        exec(compile(block.text, block.place, "exec"), {})
        return
    done = 0
    for words in commands(block.text):
        if words[:1] == ["moco-transfer"] and words[1] not in VERBS:
            code = front(words[1:])
        elif found := ours(words):
            monkeypatch.setattr(sys, "argv", [found[0], *with_words(found[1], block.words.split())])
            code = main_of(found[0])()
        else:
            continue
        assert code == 0, (words, capsys.readouterr().err[-2000:])
        done += 1
    assert done, "nothing of ours is run by it"


def with_words(given: list[str], more: list[str]) -> list[str]:
    """The words of a command with options added to its own, which come before overrides."""
    first = next(
        (i for i, word in enumerate(given) if re.fullmatch(r"[A-Z_]+(\.[A-Z_0-9]+)+", word)), len(given)
    )
    return [*given[:first], *more, *given[first:]]
