"""The command `moco-transfer VERB ...`: hands over to the module of the verb, in this very process.

It is imported as `moco_transfer.__main__`, whose package has put ours on the path by then.
"""

from __future__ import annotations

import difflib
import runpy
import sys
from collections.abc import Sequence
from importlib import import_module

from converters.command import COMMAND, VERBS, command, version


def script() -> int:
    """Runs the installed command as every command of ours is run; returns its exit code."""
    return command(main)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a verb and returns its exit code; 2 for a verb that there is not."""
    from converters.options import Parser

    words = list(sys.argv[1:] if argv is None else argv)
    verb = words[0] if words else "--help"
    if verb in ("-h", "--help"):
        print(_help())
        return 0 if words else 2
    if verb == "--version":
        print(f"{COMMAND} {version()}")
        return 0
    if verb == "completion":
        return _print(import_module(f"{__package__}.completion").script(words[1:]))
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=2, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        print(f"error: {verb!r} is no verb{hint} {COMMAND} --help shows all", file=sys.stderr)
        return 2
    row = VERBS[verb]
    Parser.called = f"{COMMAND} {verb}" if not row.words else COMMAND
    sys.argv = [f"{COMMAND} {verb}", *row.words, *words[1:]]
    try:
        runpy.run_module(row.module, run_name="__main__", alter_sys=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1 if end.code else 0
    return 0


def _print(text: str | None) -> int:
    if text is None:
        print(f"error: {COMMAND} completion takes bash, zsh or fish", file=sys.stderr)
        return 2
    print(text, end="")
    return 0


def _help() -> str:
    width = max(map(len, VERBS))
    lines = [f"usage: {COMMAND} VERB ...", "", "Tells whether a pre-trained backbone transfers better."]
    lines += ["", f"verbs, each with its own {COMMAND} VERB --help:"]
    lines += [f"  {verb:<{width}}  {row.says}" for verb, row in VERBS.items()]
    lines += ["", f"  {COMMAND} --version; {COMMAND} completion bash|zsh|fish prints a script for your shell"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command(main))
