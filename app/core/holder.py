"""Who holds a lease: a process, told from all others, and whether it is still there as far as can be seen from here."""

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

RECORD = 600  #: characters of a holder's record


@dataclass(frozen=True)
class Holder:
    """Who holds a lease; `space` and `born` tell a process from another with the same number."""

    host: str
    pid: int
    space: str
    born: str
    token: str
    beat: int = 0
    ended: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @classmethod
    def this_process(cls) -> "Holder":
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _space(), _born(pid) or "", secrets.token_hex(4))

    def is_gone(self) -> bool:
        """Whether it ran among the processes that are seen from here, and runs no more."""
        if self.space != _space():
            return False
        born = _born(self.pid)
        return born is None or (born != "" and born != self.born)


def record(holder: Holder) -> str:
    """Of a fixed length, so that one written over another leaves nothing of it."""
    return json.dumps(asdict(holder)).ljust(RECORD)


def _space() -> str:
    """Names the set of processes that this one sees: a start of a machine, and a container on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # no Linux
        return socket.gethostname()


def _born(pid: int) -> str | None:
    """When a process started, as the system counts; None if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass
        return ""  # no Linux, or another user's, which is hidden (`hidepid`)
    return None if fields[0] in "ZX" else fields[19]
