"""A Slurm of one node on this machine's loopback, for the time of a test; needs root and its programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "runuser")
CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SlurmctldPort={port}
SlurmdPort={port_of_node}
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
MinJobAge=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why it cannot be had here, None where it can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no one-node Slurm: {', '.join(missing)} not installed"
    return None if os.geteuid() == 0 else "no one-node Slurm: needs root"


@contextlib.contextmanager
def one_node_slurm(root: Path) -> Iterator[dict[str, str]]:
    """Starts it; yields the environment variables by which its commands find it."""
    for folder in ("state", "spool"):
        (root / folder).mkdir(parents=True)
    conf = root / "slurm.conf"
    ports = {"port": _free_port(), "port_of_node": _free_port()}
    conf.write_text(CONF.format(host=socket.gethostname(), root=root, **ports))
    environment = {"SLURM_CONF": str(conf)}
    with contextlib.ExitStack() as stack:
        socket_file = Path("/run/munge/munge.socket.2")
        if not socket_file.exists():
            socket_file.parent.mkdir(exist_ok=True)
            shutil.chown(socket_file.parent, "munge", "munge")
            munged = ["runuser", "-u", "munge", "--", shutil.which("munged") or "", "--foreground"]
            stack.enter_context(_running(munged, environment))
        stack.enter_context(_running(["slurmctld", "-D"], environment))
        stack.enter_context(_running(["slurmd", "-D", "-N", socket.gethostname()], environment))
        deadline = time.monotonic() + 60
        while "idle" not in _ask(["sinfo", "-h", "-o", "%t"], environment):
            assert time.monotonic() < deadline, (root / "slurmctld.log").read_text()
            time.sleep(0.2)
        yield environment
        _ask(["scancel", "--user", "root"], environment)


def _ask(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True).stdout


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=os.environ | environment, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
