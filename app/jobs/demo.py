"""What the demonstrations share: a synthetic shop of their own, an InfluxDB, a stream trained on the shop's past."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from pyspark.sql import SparkSession

from app.core.errors import InputError
from app.core.lease import stream_lease, training_lease
from app.core.settings import Settings
from app.core.spark import create_session, end_session
from app.jobs.guard import say
from app.monitor.local import LocalInflux
from app.stream.engine import Stream
from app.stream.session_conf import FOR_BATCH, SPARK_CONFIGURATION
from app.synthetic import cut_in_two, generate
from app.train.run import train

DAYS = 18  #: so that 14 are trained on, which have a whole week besides the first on whatever day they begin
MARKER = ".vitrine-live"  #: of a folder that may be emptied


@dataclass(frozen=True)
class DemoShop:
    """A synthetic shop in a folder: its past, to be trained on, and `replayed` events after it."""

    history: Path
    live: Path
    replayed: int


def make_shop(root: Path, events: int, replayed: int, seed: int) -> DemoShop:
    """Make a shop of so many events in a folder, which is emptied of an earlier demonstration.

    Raises
    ------
    InputError
        More events to be replayed than the shop has, or the folder holds something else.
    """
    if replayed >= events:
        raise InputError(f"--events {events:,} must be more than what is replayed, {replayed:,}: both are one shop")
    if root.exists() and any(root.iterdir()) and not (root / MARKER).exists():
        raise InputError(f"{root}: is not empty and no earlier demonstration; give --output a new folder")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / MARKER).touch()
    say(f"making a synthetic shop of {events:,} events, the last {replayed:,} of them to be replayed")
    shop = DemoShop(root / "history.synthetic.csv", root / "live.synthetic.csv", replayed)
    # It ends with yesterday: what is trained on lies in the past, and what is replayed bears the present's times.
    start = datetime.now(UTC).date() - timedelta(days=DAYS)
    generate(root / "shop.synthetic.csv", events, seed, days=DAYS, start=start)
    cut_in_two(root / "shop.synthetic.csv", events - replayed, shop.history, shop.live)
    return shop


@contextmanager
def own_influx(settings: Settings) -> Iterator[Settings]:
    """Settings with an InfluxDB: the one that is set, else an `influxd` started here, else none."""
    program = shutil.which("influxd")
    if settings.influx_url is not None or program is None:
        yield settings
        return
    folder = settings.output.absolute() / "influxdb"
    folder.mkdir()
    server = LocalInflux(folder, program, settings.influx_org, settings.influx_bucket)
    say(f"InfluxDB runs at {server.config.url}, its data in {folder}")
    try:
        url, token = server.config.url, SecretStr(server.config.token)
        yield settings.model_copy(update={"influx_url": url, "influx_token": token})
    finally:
        server.stop()


@contextmanager
def trained_stream(settings: Settings, history: Path) -> Iterator[Stream]:
    """Train on a log, and start a stream that is stopped in the end."""
    spark = create_session(settings, "vitrine-live", SPARK_CONFIGURATION | FOR_BATCH)
    lease = stream_lease(settings.output)
    try:
        _train(spark, settings.model_copy(update={"events": str(history)}))
        for name in FOR_BATCH:
            spark.conf.set(name, SPARK_CONFIGURATION[name])
        lease.acquire(wait=False, say=say)
        stream = Stream(spark, settings, lease, say)
        stream.start()
        try:
            yield stream
        finally:
            stream.stop()
    finally:
        lease.release()
        end_session(spark)


def _train(spark: SparkSession, settings: Settings) -> None:
    """As `vitrine train` does: of two trainings on one output one gives way."""
    lease = training_lease(settings.output)
    lease.acquire(wait=False, say=say)
    try:
        train(spark, settings, datetime.now(UTC), say, lease.check)
    finally:
        lease.release()
