"""The one list of a record's fields, and the hash that names a cell."""

from __future__ import annotations

import re
from typing import Any, get_type_hints

from results.record import Record, record_id
from tests.conftest import ROOT


def test_the_page_describes_every_field() -> None:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| field \| holds \|\n\|---\|---\|\n((?:\|.*\n)+)", page)
    described = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert sorted(described) == sorted(get_type_hints(Record).keys() - {"doubt"})


def test_the_id_depends_on_every_identity_field_and_on_nothing_else(make_record: Any) -> None:
    identity = make_record()["identity"]
    shuffled = dict(reversed(identity.items()))
    assert record_id(shuffled) == record_id(identity)
    ids = {record_id(identity)} | {record_id({**identity, name: "other"}) for name in identity}
    assert len(ids) == 1 + len(identity)
