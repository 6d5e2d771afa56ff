"""Who users are to the API: the lists of the forgotten and of the merged of an output folder, read and added to."""

from collections.abc import Callable

from app.api.forgetting import forgetting
from app.api.forgotten_points import ForgottenPoints
from app.api.merging import merging
from app.api.models import Forgetting, MergeAsk, Merging
from app.api.problems import RefusedError
from app.core.settings import Settings
from app.events.forgotten import Forgotten, ForgottenUsers
from app.events.ids import number_of, written
from app.events.merged import Merged, Standing
from app.events.merged_users import MergedUsers
from app.registry.identities import Identities


class People:
    """Forgets and merges users; for any thread.

    Both are done under the lock of the merges, so that nobody is merged with a user who is just being forgotten.

    Parameters
    ----------
    settings
        Output folder, and where the receipts look.
    text_ids
        Whether the shop's ids are text.
    points
        Takes whom it is told of out of InfluxDB.
    now
        Seconds since 1970.
    """

    def __init__(self, settings: Settings, text_ids: bool, points: ForgottenPoints, now: Callable[[], float]):
        self._settings, self._text_ids, self._points, self._now = settings, text_ids, points, now
        self._forgotten, self._merged = ForgottenUsers(settings.output), MergedUsers(settings.output)

    def read(self) -> Identities:
        """Both lists as they are now.

        Raises
        ------
        OSError, VitrineError
            One of them can't be read.
        """
        return Identities(self._forgotten.read(), self._merged.read())

    def forget(self, user_id: str) -> Forgetting:
        """Forget a user, and all who are one with this user; then nothing ties them together any more.

        Raises
        ------
        RefusedError
            It is no id of this shop.
        OSError, VitrineError
            A list could not be read or written to; asked for again, it is done whole.
        """
        user = self._number("user_id", user_id)
        with self._merged.alone():
            merged, now = self._merged.read(), self._now()
            group = merged.group(user)
            for one in (*(other for other in group if other != user), user):  # last: its receipt speaks for all
                self._forgotten.forget(one, now)
            forgotten = self._forgotten.read()
            for one in group:
                key = written(user_id) if one == user else merged.key(one)
                self._take_out_of_points(one, key, forgotten)
            self._merged.remove(group)  # last: nothing else tells their ids
        return self.forgetting(user_id)

    def forgetting(self, user_id: str) -> Forgetting:
        """What has become of the latest forgetting of a user.

        Raises
        ------
        RefusedError
            The user was not forgotten, or it is no id of this shop.
        """
        user = self._number("user_id", user_id)
        forgotten = self._forgotten.read()
        name = forgotten.name(user)
        if name is None:
            raise RefusedError(404, "this user was not forgotten")
        self._take_out_of_points(user, written(user_id), forgotten)
        names = forgotten.together(name)
        return forgetting(self._settings, user_id, names, tied=len(self._merged.read().group(user)) > 1)

    def merge(self, ask: MergeAsk) -> Merging:
        """Make one user's history and sessions another's; asked for again, nothing changes.

        Raises
        ------
        RefusedError
            One of them is no id of this shop, or was forgotten; or it goes against an earlier merge.
        OSError, VitrineError
            A list could not be read or written to.
        """
        user = self._number("from_user_id", ask.from_user_id)
        into = self._number("into_user_id", ask.into_user_id)
        with self._merged.alone():
            merged = self._merged.read()
            standing = merged.standing(user, into)
            if standing is Standing.NEW:
                self._check_not_forgotten({*merged.group(user), *merged.group(into)})
                self._merged.add(
                    user, into, self._key(ask.into_user_id, into), self._now(), self._key(ask.from_user_id, user)
                )
            elif standing is not Standing.DONE:
                raise _refusal(ask, user, standing, merged)
        return merging(self._settings, ask, user, into, self._merged.read())

    def _take_out_of_points(self, user: int, key: str | None, forgotten: Forgotten) -> None:
        """Points have ids of text as the shop has them; `key` is None where nobody has said the id."""
        name, shown = forgotten.name(user), key if self._text_ids else user
        if name is not None and shown is not None:
            self._points.add(shown, name)

    def _check_not_forgotten(self, users: set[int]) -> None:
        if self._forgotten.read().among(users):
            raise RefusedError(409, "one of the two was forgotten, and is not tied to anyone; use a new id")

    def _number(self, name: str, user_id: str) -> int:
        user = number_of(user_id, self._text_ids)
        if user is None:
            raise RefusedError(422, f"{name}: is no id of this shop")
        return user

    def _key(self, user_id: str, user: int) -> str:
        return str(written(user_id)) if self._text_ids else str(user)


def _refusal(ask: MergeAsk, user: int, standing: Standing, merged: Merged) -> RefusedError:
    """Why a merge is not done."""
    if standing is Standing.SAME:
        return RefusedError(422, "into_user_id: is the same user")
    if standing is Standing.RING:
        return RefusedError(409, f"user {ask.into_user_id!r} was merged into {ask.from_user_id!r} already")
    other = merged.keys[merged.survivor(user)]
    return RefusedError(409, f"user {ask.from_user_id!r} was merged into {other!r} already; use that id")
