"""Names the archive of a tiny DTD, and where the bad server has it."""

from __future__ import annotations

import hashlib

from tests.transfer.datasets.prepare.bad_server import BadServer
from transfer.datasets.image_list.public.row import Remote

FILE = "dtd.tar.gz"


def remote(server: BadServer, *how: str, proof: bool = True) -> Remote:
    content = server.files[FILE]
    sha256, size = (hashlib.sha256(content).hexdigest(), len(content)) if proof else ("", 0)
    return Remote(FILE, tuple(server.at(one, FILE) for one in how), "dtd", size, sha256)
