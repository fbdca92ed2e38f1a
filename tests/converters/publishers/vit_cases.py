"""Joins the cases of vision transformers: at least one file for every row of the publishers' table."""

from __future__ import annotations

from tests.converters.publishers.vit_cases_dino import DINO_CASES
from tests.converters.publishers.vit_cases_plain import PLAIN_CASES
from tests.converters.publishers.vit_cases_relative import RELATIVE_CASES

VIT_CASES = (*PLAIN_CASES, *RELATIVE_CASES, *DINO_CASES)
# Rows whose files are refused until the user names another row: no case, but tests of their own.
REFUSED_UNTIL_NAMED = {"vit_classifier", "deit3_elsewhere", "hybrid"}
