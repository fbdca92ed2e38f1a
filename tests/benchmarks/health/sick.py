"""Machines that lack something, for tests of the doctor."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest

from benchmarks.health.finding import Finding


def broken(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Lets the import of one module fail."""
    real = importlib.import_module

    def import_module(wanted: str, package: str | None = None) -> Any:
        if wanted == name:
            raise error
        return real(wanted, package)

    monkeypatch.setattr(importlib, "import_module", import_module)


def absent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Lets modules look as if they were not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name in names else real(name, *a)
    )


def only(findings: list[Finding], level: str) -> list[Finding]:
    return [finding for finding in findings if finding.level == level]
