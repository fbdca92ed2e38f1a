"""Rows of different identities have different labels: other tables find them by these."""

from __future__ import annotations

from results.tables.labels import labels


def test_one_init_is_labelled_by_what_differs() -> None:
    recipe = {"recipe_sha256": "a" * 64}
    rows = [("moco", recipe | {"engine_version": version}) for version in ("0.22.1+r3", "0.22.1+r4")]
    assert labels([*rows, ("random", recipe)]) == [
        "moco [engine version 0.22.1+r3]",
        "moco [engine version 0.22.1+r4]",
        "random",
    ]


def test_of_joined_hashes_each_is_told() -> None:
    rows = [("moco", {"data_sha256": f"{'a' * 64}+{test * 64}"}) for test in "bc"]
    assert labels(rows) == ["moco [data aaaaaaaa+bbbbbbbb]", "moco [data aaaaaaaa+cccccccc]"]


def test_hashes_that_begin_alike_are_whole() -> None:
    hashes = ["a" * 63 + end for end in "bc"]
    assert labels([("moco", {"recipe_sha256": one}) for one in hashes]) == [
        f"moco [recipe {one}]" for one in hashes
    ]
