"""Exploration of a stored events table, part by part."""

from pathlib import Path

from pyspark.sql import SparkSession

from app.core import duck
from app.core.duck import Relation, query
from app.core.parts import Part, by_part, part_files, read_table
from app.features.sessions import session_table
from app.insight.explore import event_cube, explore_events, explore_sessions, session_counts
from app.insight.results import Exploration


def explored(
    spark: SparkSession, events: Path, timezone: str, folder: Path, sessions: Path | None = None
) -> Exploration:
    """What is in the log.

    Parameters
    ----------
    spark
        Session.
    events
        A stored events table, in parts.
    timezone
        The shop's time zone, for the hours.
    folder
        For tables on the way, on a disk that driver and executors share.
    sessions
        Stored `session_table` of the events, in their parts; made here if there is none.
    """

    def count(part: Part) -> None:
        seen = part.read(events)
        part.write("cube", event_cube(seen, timezone))
        part.write("touched", query("select distinct product_id from seen", seen=seen))
        visits = part.read(sessions) if sessions else part.write("sessions", session_table(seen))
        part.write("seen", visits.aggregate("count(distinct user_id) as users"))

    def measure(part: Part) -> None:
        part.write("lengths", session_counts(read_table(part.connection, sessions or folder / "sessions")))

    folder.mkdir(parents=True)
    by_part(spark, len(part_files(events)), count, folder)
    by_part(spark, 1, measure, folder)  # an id may be of several users: one task reads all sessions
    with duck.connect(folder) as connection:

        def counted(name: str) -> Relation:
            return read_table(connection, folder / name)

        ((users,),) = counted("seen").aggregate("sum(users)::bigint").fetchall()
        ((products,),) = counted("touched").aggregate("count(distinct product_id)").fetchall()
        return Exploration(
            events=explore_events(counted("cube"), users, products),
            sessions=explore_sessions(counted("lengths")),
        )
