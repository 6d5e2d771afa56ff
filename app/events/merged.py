"""Which users are one and the same: the history and sessions of one are the other's, from the first event on.

A user is merged into another once at most, so that merges are paths that end at a **survivor**. Who that is does not
depend on the order in which merges are read.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.core.part import Part


class Merge(Part):
    """One user became another, by internal numbers.

    `into_key`: the shop's own id of `into`, `user_key` of `user`; None where nobody has said it. `at`: when, in
    microseconds since 1970; no two are at the same moment.
    """

    user: int
    into: int
    into_key: str
    at: int
    user_key: str | None = None


class Standing(Enum):
    """What it would mean to merge one user into another."""

    NEW = auto()  #: nothing stands against it
    DONE = auto()  #: their histories are one already
    SAME = auto()  #: both are the same id
    RING = auto()  #: the other was merged into this one
    ELSEWHERE = auto()  #: this one was merged into a third


@dataclass(frozen=True)
class Merged:
    """All merges at one moment; made by `of`.

    Attributes
    ----------
    merges
        By the user who was merged. There are no rings.
    """

    merges: dict[int, Merge] = field(default_factory=dict)

    @classmethod
    def of(cls, merges: Iterable[Merge]) -> "Merged":
        """From merges in any order.

        Of several of one user the earliest counts, and one that would close a ring does not: writers that kept to
        `standing` have left neither.
        """
        found = cls()
        for merge in sorted(merges, key=lambda merge: (merge.at, merge.user, merge.into)):
            if merge.user not in found.merges and merge.user not in found._path(merge.into):
                found.merges[merge.user] = merge
        return found

    def __bool__(self) -> bool:
        return bool(self.merges)

    @property
    def latest(self) -> int:
        """The moment of the latest merge; 0 without any."""
        return max((merge.at for merge in self.merges.values()), default=0)

    @cached_property
    def survivors(self) -> dict[int, int]:
        """By each user who was merged, whose history it is now."""
        found: dict[int, int] = {}
        for user in self.merges:
            path = [user]
            while path[-1] in self.merges and path[-1] not in found:
                path.append(self.merges[path[-1]].into)
            end = found.get(path[-1], path[-1])
            found |= dict.fromkeys((step for step in path if step != end), end)
        return found

    @cached_property
    def keys(self) -> dict[int, str]:
        """The shop's own ids of survivors."""
        ends = set(self.survivors.values())
        return {merge.into: merge.into_key for merge in self.merges.values() if merge.into in ends}

    def key(self, user: int) -> str | None:
        """The shop's own id of a user who is in a merge; None where it is not known."""
        merge = self.merges.get(user)
        into = (other.into_key for other in self.merges.values() if other.into == user)
        return next(into, None if merge is None else merge.user_key)

    def survivor(self, user: int) -> int:
        """Whose history a user's is."""
        return self.survivors.get(user, user)

    def group(self, user: int) -> tuple[int, ...]:
        """All who are one with a user, the survivor first."""
        survivor = self.survivor(user)
        return (survivor, *self._others.get(survivor, ()))

    def since(self, user: int) -> int:
        """From which moment on a user's history is the survivor's; 0 for one who was not merged."""
        path = self._path(user)[:-1]
        return max((self.merges[step].at for step in path), default=0)

    def standing(self, user: int, into: int) -> Standing:
        """What it would mean to merge a user into another."""
        if user == into:
            return Standing.SAME
        if user in self._path(into):
            return Standing.RING
        if self.survivor(user) == self.survivor(into):
            return Standing.DONE
        return Standing.ELSEWHERE if user in self.merges else Standing.NEW

    def survivors_of(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """Whose history that of each user (n,) is."""
        if not self.merges:
            return users
        merged, ends = self._arrays
        place = np.minimum(np.searchsorted(merged, users), len(merged) - 1)
        return np.where(merged[place] == users, ends[place], users)

    def _path(self, user: int) -> list[int]:
        """A user, and into whom this one was merged, one after the other."""
        path = [user]
        while path[-1] in self.merges:
            path.append(self.merges[path[-1]].into)
        return path

    @cached_property
    def _others(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for user in sorted(self.survivors):
            found.setdefault(self.survivors[user], []).append(user)
        return found

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Users who were merged, ascending, and their survivors."""
        merged = np.array(sorted(self.survivors), np.int64)
        return merged, np.array([self.survivors[user] for user in merged.tolist()], np.int64)


NOBODY_MERGED = Merged()
