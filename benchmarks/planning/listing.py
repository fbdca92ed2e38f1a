"""Prints `--list`. It imports little: a list is looked at before a command is typed."""

from __future__ import annotations

from boltons.strutils import cardinalize

from benchmarks.planning.init_names import FORMS
from benchmarks.planning.suite import groups_of, load_suite, suite_names
from converters.networks.sizes import size_names


def show_list() -> None:
    """Prints the suites, their groups and the named inits."""
    suites = list(map(load_suite, suite_names()))
    print("suites:")
    for suite in suites:
        trials = f"{suite.trials} {cardinalize('trial', suite.trials)}"
        print(f"  {suite.name:<22} {suite.reference}; primary {suite.primary}, {trials}")
    for group, names in groups_of(suites).items():
        print(f"  {group:<22} all of: {', '.join(names)}")
    print(f"inits: a converted backbone, a raw checkpoint, or {', '.join(FORMS)}")
    print(f"sizes of random:SIZE: {', '.join(size_names())}; more facts as in resnet18,FACT=VALUE,...")
