"""Draws a tiny set of queries in the layout of Revisited Oxford: textures stand for buildings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from transfer.datasets.synthetic.dial import texture_image

KINDS = ("stripes", "dots", "rings", "checks", "bricks", "waves")  # one for each query
# What there is of each kind, and how clearly it shows: as much as the benchmark calls easy, hard and junk.
SHOWN = {"easy": (0.9, 0.8), "hard": (0.6, 0.5), "junk": (0.3,)}
STRANGERS = 6  # images that show nothing
DRAWN = (len(KINDS) * sum(map(len, SHOWN.values())) + STRANGERS, len(KINDS))  # images, queries
SIDE = 96


def write_revisited(folder: Path, clarity: float = 1.0, seed: int = 0) -> None:
    """Writes `jpg/*.jpg` and `gnd_NAME.mat` into `folder`, which is named as the set.

    clarity: by which all that is shown is multiplied; at 0 nothing tells one kind from another. A query shows
    its texture in its box alone.
    """
    from scipy.io import savemat

    (folder / "jpg").mkdir(parents=True)
    names: list[str] = []
    rows: list[dict[str, np.ndarray]] = []
    rng = np.random.default_rng([seed, 7])

    def add(name: str, kind: str, clear: float) -> None:
        texture_image(rng, kind, clarity * clear, SIDE).save(folder / "jpg" / f"{name}.jpg", quality=95)

    for kind in KINDS:
        row = {}
        for group, shares in SHOWN.items():
            first = len(names) + 1  # the file counts from 1
            row[group] = np.arange(first, first + len(shares))
            for i, share in enumerate(shares):
                names.append(f"{kind}_{group}{i}")
                add(names[-1], kind, share)
        rows.append(row | {"bbx": np.array([16.0, 16.0, SIDE - 16.0, SIDE - 16.0])})
    for i in range(STRANGERS):
        names.append(f"stranger{i}")
        add(names[-1], KINDS[0], 0.0)
    for kind in KINDS:
        whole = texture_image(rng, KINDS[0], 0.0, SIDE)
        whole.paste(texture_image(rng, kind, clarity * 0.9, SIDE - 32), (16, 16))
        whole.save(folder / "jpg" / f"query_{kind}.jpg", quality=95)
    truth = {
        "imlist": np.array(names, object),
        "qimlist": np.array([f"query_{kind}" for kind in KINDS], object),
        "gnd": np.array(
            [tuple(row[key] for key in ("bbx", *SHOWN)) for row in rows],
            [(key, object) for key in ("bbx", *SHOWN)],
        ),
    }
    savemat(folder / f"gnd_{folder.name}.mat", truth)
