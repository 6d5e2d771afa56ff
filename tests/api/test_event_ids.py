"""Ids that were seen are known, those of forgotten hours are not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.posted.event_ids import EventIds, _digest

HOURS = [f"20260131{hour:02d}.jsonl" for hour in range(6)]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(HOURS), st.text(max_size=3)), max_size=60), st.sampled_from(HOURS))
def test_ids_are_known_until_their_hour_is_forgotten(added: list[tuple[str, str]], before: str) -> None:
    ids, added = EventIds(), sorted(added)
    for name, event_id in added:
        ids.add(event_id, name)
    assert all(event_id in ids for _, event_id in added)
    assert "never seen" not in ids
    ids.forget(before)
    newest = added[-1][0] if added else ""
    kept = {event_id for name, event_id in added if name >= before or name == newest}
    assert {event_id for _, event_id in added if event_id in ids} == kept


def test_an_id_whose_hash_ends_in_zeros_is_known_after_its_hour() -> None:
    """One in 256: NumPy drops zeros at the end of a text."""
    zeros = [str(number) for number in range(100_000) if _digest(str(number)).endswith(b"\0")]
    ids = EventIds()
    for event_id in zeros:
        ids.add(event_id, HOURS[0])
    ids.add("later", HOURS[1])
    assert len(zeros) > 100
    assert all(event_id in ids for event_id in zeros)
