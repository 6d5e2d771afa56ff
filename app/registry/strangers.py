"""Forgotten users are strangers to a bundle that knows what they did before."""

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from app.events.forgotten import Forgotten
from app.serve.users import stranger


def known_as(
    users: NDArray[np.int64], forgotten: Forgotten, obeyed: Set[str], known: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The numbers (n,) by which a bundle may know users: a stranger's where it knows what is forgotten.

    Parameters
    ----------
    users
        Internal numbers (n,).
    forgotten
        The list.
    obeyed
        Names of the forgettings that the bundle has obeyed.
    known
        Sorted internal numbers of all users whom it knows.
    """
    if not forgotten:
        return users
    names = {user: forgotten.name(user) for user in forgotten.among(set(users.tolist()))}
    strange = [user for user, name in names.items() if name not in obeyed]
    return np.where(np.isin(users, strange), stranger(known), users) if strange else users
