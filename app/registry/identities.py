"""Who users are to a bundle, whatever was said of them since its training: forgotten, or merged into another."""

from collections.abc import Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.events.forgotten import NOBODY, Forgotten
from app.events.merged import NOBODY_MERGED, Merged
from app.serve.users import stranger
from app.serve.visits import OtherUsers, Visitors


@dataclass(frozen=True)
class Identities:
    """The lists of forgotten and of merged users at one moment."""

    forgotten: Forgotten = NOBODY
    merged: Merged = NOBODY_MERGED

    def introduced(self, visitors: Visitors, known: NDArray[np.int64], obeyed: Set[str]) -> Visitors:
        """Visitors as a bundle may know them: each with all whose history is theirs, none by what is forgotten.

        Parameters
        ----------
        visitors
            By internal numbers.
        known
            Sorted internal numbers of all users whom the bundle knows.
        obeyed
            Names of the forgettings that its training has obeyed.
        """
        if not self.forgotten and not self.merged:
            return visitors
        groups = [self.merged.group(user) for user in visitors.user_ids.tolist()]
        users = {user for group in groups for user in group}
        strange = {user for user in self.forgotten.among(users) if self.forgotten.name(user) not in obeyed}
        nobody = stranger(known) if strange else 0
        names = [[user for user in group if user not in strange] or [nobody] for group in groups]
        ids = np.array([first for first, *_ in names], np.int64)
        others = OtherUsers.of([rest for _, *rest in names]) if self.merged else None
        return replace(visitors, user_ids=ids, others=others)


EVERYONE = Identities()  #: nobody forgotten, nobody merged
