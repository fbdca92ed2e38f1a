"""Prints what a shell needs to complete verbs, options and the names of suites."""

from __future__ import annotations

from collections.abc import Sequence

_BASH = """_moco_transfer() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" verbs="{verbs}" suites="{suites}" n option=""
    if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W "$verbs" -- "$word")); return; fi
    for ((n = COMP_CWORD - 1; n > 1; n--)); do
        case "${{COMP_WORDS[n]}}" in --*) option="${{COMP_WORDS[n]}}"; break;; esac
    done
    case "$word" in
        --*) local known; known=$(moco-transfer "${{COMP_WORDS[1]}}" --help 2>/dev/null |
                grep -oE -- '--[a-z0-9][a-z0-9-]*' | sort -u)
             COMPREPLY=($(compgen -W "$known" -- "$word")); return;;
    esac
    if [ "$option" = --suite ]; then
        COMPREPLY=($(compgen -W "$suites" -- "$word") $(compgen -f -X '!*.yaml' -- "$word"))
    else COMPREPLY=($(compgen -f -- "$word")); fi
}}
complete -o filenames -F _moco_transfer moco-transfer
"""
_ZSH = "autoload -U +X bashcompinit && bashcompinit\n" + _BASH
_FISH = """complete -c moco-transfer -n __fish_use_subcommand -f -a '{verbs}'
complete -c moco-transfer -n '__fish_seen_subcommand_from run' -l suite -x -a '{suites}'
"""
SHELLS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(words: Sequence[str]) -> str | None:
    """Returns the script for the shell that `words` names, None where they name none."""
    from benchmarks.planning.suite import groups, suite_names
    from converters.command import VERBS

    if len(words) != 1 or words[0] not in SHELLS:
        return None
    suites = " ".join([*suite_names(), *groups()])
    return SHELLS[words[0]].format(verbs=" ".join(VERBS), suites=suites)
