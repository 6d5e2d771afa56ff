"""The receipt of a merge: from when on one user's history is another's, and what has yet to come to know of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from app.api.models import MergeAsk, Merging, Place
from app.core.errors import BundleError
from app.core.folders import Output
from app.core.settings import Settings
from app.events.merged import Merged
from app.registry.manifest import read_manifest
from app.registry.registry import Registry
from app.stream.folders import StreamFolders
from app.stream.forgetting import read_marker


def merging(settings: Settings, ask: MergeAsk, user: int, into: int, merged: Merged) -> Merging:
    """What has become of a merge.

    Parameters
    ----------
    settings
        Of the API; places that others write to are looked at.
    ask
        As it was asked for.
    user, into
        Internal numbers of the one who was merged and of the other, who may be merged into a third.
    merged
        The list, with this merge.
    """
    moment = max(merged.since(user), merged.since(into))
    places = list(_places(settings, moment))
    return Merging(
        from_user_id=ask.from_user_id,
        into_user_id=ask.into_user_id,
        user_id=merged.keys[merged.survivor(user)],
        merged_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment),
        done=all(place.done for place in places),
        places=places,
    )


def _places(settings: Settings, moment: int) -> Iterator[Place]:
    folders = StreamFolders.of(settings)
    yield Place(place="sessions and lists of the API", done=True, detail="every replica, as soon as it has read it")
    yield Place(place="lists of the stream", done=True, detail="from the next micro-batch on")
    yield _place(
        "sessions of the stream",
        read_marker(folders).state >= moment or not folders.checkpoints.is_dir(),
        "none goes on under the old id",
        "what was done before under the old id is in none of the other's until the next training",
    )
    yield _place(
        "bundle in use",
        _trained_until(settings) >= moment,
        "its training took them for one",
        "the next training takes them for one; until then their histories are put together for each list",
    )


def _place(name: str, done: bool, is_so: str, waits_for: str) -> Place:
    return Place(place=name, done=done, detail=is_so if done else waits_for)


def _trained_until(settings: Settings) -> int:
    """The latest merge that the champion's training has obeyed."""
    champion = Registry(Output(settings.output.absolute()).models).champion()
    try:
        return 0 if champion is None else read_manifest(champion).merged_until
    except BundleError:
        return 0
