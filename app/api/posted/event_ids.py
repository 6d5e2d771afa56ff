"""Ids of events that were accepted already."""

import numpy as np
import xxhash
from numpy.typing import NDArray


class EventIds:
    """Remembers ids by the file of the log that holds them; 16 bytes an id once an hour is over.

    Ids are kept as 128-bit hashes: among a hundred million the chance of two that agree is below 10⁻²².
    """

    def __init__(self) -> None:
        self._now: tuple[str, set[bytes]] = ("", set())
        self._before: dict[str, NDArray[np.bytes_]] = {}

    def __contains__(self, event_id: str) -> bool:
        digest = _digest(event_id)
        return digest in self._now[1] or any(_holds(ids, digest) for ids in self._before.values())

    def add(self, event_id: str, name: str) -> None:
        """Remember an id with others of the same name, or of a later one."""
        if name > self._now[0]:
            self._seal()
            self._now = (name, set())
        self._now[1].add(_digest(event_id))

    def forget(self, before: str) -> None:
        """Forget all with a name before this one."""
        self._before = {name: ids for name, ids in self._before.items() if name >= before}

    def __len__(self) -> int:
        return len(self._now[1]) + sum(map(len, self._before.values()))

    def _seal(self) -> None:
        name, ids = self._now
        if ids:
            self._before[name] = np.sort(np.array(list(ids), "S16"))


def _digest(event_id: str) -> bytes:
    return xxhash.xxh3_128_digest(event_id.encode())


def _holds(ids: NDArray[np.bytes_], digest: bytes) -> bool:
    place = int(np.searchsorted(ids, np.bytes_(digest)))
    return place < len(ids) and ids[place] == digest.rstrip(b"\0")  # NumPy's texts have no zeros at their end
