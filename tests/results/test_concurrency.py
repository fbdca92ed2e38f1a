"""Many writers at once, some killed at random moments, a reader all along: nothing acknowledged is lost.

CI runs a small storm. The full one is `STORM=64,500,100 pytest tests/results/test_concurrency.py` (writers,
records each, kills).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from results.errors import RecordError
from results.journal import LEFT_OUT
from results.store import find_record, load_records
from results.verify import verify
from tests.conftest import ROOT
from tests.results.writer import make

WRITERS, RECORDS, KILLS = (int(n) for n in os.environ.get("STORM", "8,30,10").split(","))


class Writer:
    """One writer's process; a killed one is started again behind its last acknowledged record."""

    def __init__(self, root: Path, number: int) -> None:
        self.root, self.number, self.acknowledged = root, number, 0
        self.start()

    def start(self) -> None:
        arguments = [self.root, self.number, self.acknowledged, RECORDS]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.results.writer", *map(str, arguments)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        self.listener = threading.Thread(target=self._listen, args=(self.process,))
        self.listener.start()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        for line in process.stdout:
            if line.endswith(b"\n"):
                self.acknowledged = int(line) + 1

    def kill_and_restart(self) -> None:
        self.process.kill()
        self.finish()
        self.start()

    def finish(self) -> int:
        code = self.process.wait()
        self.listener.join()
        return code


def test_a_storm_of_writers_loses_nothing(tmp_path: Path) -> None:
    rng = random.Random(0)
    writers = [Writer(tmp_path, number) for number in range(WRITERS)]
    errors: list[str] = []
    reads = 0
    done = threading.Event()

    def read_all_along() -> None:
        nonlocal reads
        while not done.is_set():
            try:
                records = load_records(tmp_path)
                # a killed writer's record may lack its entry, but nobody has changed one
                errors.extend(r["doubt"] for r in records if r.get("doubt") in LEFT_OUT)
            except (RecordError, OSError) as error:
                errors.append(str(error))
            reads += 1

    reader = threading.Thread(target=read_all_along)
    reader.start()
    killed = 0
    while killed < KILLS:
        time.sleep(rng.uniform(0, 0.05))
        running = [w for w in writers if w.process.poll() is None and w.acknowledged]
        if not running:
            if all(w.process.poll() is not None for w in writers):
                break
            continue
        rng.choice(running).kill_and_restart()
        killed += 1
    codes = [writer.finish() for writer in writers]
    done.set()
    reader.join()

    assert errors == []
    assert reads > 0
    assert killed == KILLS
    assert codes == [0] * WRITERS
    assert [writer.acknowledged for writer in writers] == [RECORDS] * WRITERS
    for writer in range(WRITERS):
        for number in range(RECORDS):
            expected = make(writer, number)
            assert find_record(tmp_path, str(expected["suite"]), str(expected["id"])) == expected
    cells = {str(make(writer, number)["id"]) for writer in range(WRITERS) for number in range(RECORDS)}
    records = load_records(tmp_path)
    assert {record["id"] for record in records} == cells
    assert [record["id"] for record in records if record.get("doubt")] == []
    verdict = verify(tmp_path)
    assert verdict.problems == []
    assert verdict.records == len(cells)
    # every acknowledged save is in the journal, and maybe the last two of a killed writer
    saves = WRITERS * (RECORDS + len(range(1, RECORDS, 4)))
    assert saves <= verdict.journal_entries <= saves + 2 * KILLS
