"""All settings, in one frozen object filled from flags and `VITRINE_*` variables.

Nothing else reads a `VITRINE_*` variable for itself: the launcher of retrainings hands them on unread.
Other variables are read where they belong: SPARK_ENV_LOADED and PYSPARK_PYTHON by the Spark session.
"""

import json
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import available_timezones

from pydantic import Field, JsonValue, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.errors import InputError
from app.core.folders import local_path

PREFIX = "VITRINE_"
T = TypeVar("T")
NOT_RECORDED = object()
MOST_SEGMENTS = 8  #: where their number is left to the data
#: A setting that no model depends on: a secret, or where things are, or how the stream, the API, the replay,
#: InfluxDB or Spark's session run. All others are recorded in a bundle's manifest.
Unrecorded = Annotated[T, NOT_RECORDED]
#: What behaviour profiles are told by; `app.insight.thresholds` says what each means.
ProfileThreshold = Literal[
    "impulsive_minutes",
    "impulsive_share",
    "abandoned_carts",
    "abandoned_share",
    "regular_days",
    "cheap_products",
    "cheap_ratio",
]
#: What Kubernetes sets in every pod for a Service whose name begins with "vitrine-".
OF_KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT|PORT)(_[A-Z0-9_]+)?$")


class Settings(BaseSettings):
    """What can be set. A flag wins over the variable `VITRINE_<NAME>`, that over the default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # Where things are
    events: Unrecorded[str | None] = Field(
        None, description="Event log: CSV (plain or gzip) or Parquet; a file, folder or glob."
    )
    layout: Path | None = Field(
        None, description="Layout of the log (YAML); default that of the REES46 months. 'vitrine layout' proposes one."
    )
    catalogue: str | None = Field(
        None, description="Catalogue of products: CSV or Parquet, columns as in the layout's catalogue part."
    )
    output: Unrecorded[Path] = Field(
        Path("vitrine-output"), description="Folder for processed tables, models, recommendations and the report."
    )

    # Reading and cleaning
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="Field separator of CSV files; default that of the layout."
    )
    training_days: float | None = Field(
        None, gt=0, description="Train only on events from the last N days; all if unset."
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="Largest share of rows that may be rejected before the run stops."
    )
    max_price: float = Field(
        1_000_000, gt=0, allow_inf_nan=False, description="Prices above this are taken as missing."
    )
    timezone: str = Field("UTC", description="The shop's time zone, used for hour-of-day charts only.")
    session_idle_minutes: int = Field(30, gt=0, description="Idle time that ends a session where no id is given.")

    # Analytics
    segments: Annotated[int, Field(ge=2, le=20)] | Literal["auto"] = Field(
        5,
        description="Number of customer segments (K-Means k), 2 to 20; auto for as many as the data say, "
        f"{MOST_SEGMENTS} at most.",
    )
    profiles: dict[ProfileThreshold, Annotated[float, Field(ge=0)]] = Field(
        {},
        description="Thresholds of behaviour profiles in place of those taken from the shop's own users (JSON); "
        f"there are {', '.join(get_args(ProfileThreshold))}.",
    )
    seed: int = Field(42, description="Seed of everything random.")
    cart_window_hours: int = Field(24, gt=0, description="A carted product not bought within this time is abandoned.")
    funnel_window_days: float = Field(
        7.0, gt=0, description="A user's way from the first step of the funnel to the last takes so many days at most."
    )
    popularity_half_life_days: float = Field(7.0, gt=0, description="Half-life of an interaction in popularity.")

    # Recommenders
    top_k: int = Field(10, ge=1, le=100, description="Products in a recommendation list.")
    generators: str = Field(
        "als,covisitation,popularity,session_walk,item_graph,content",
        description="Candidate generators that are learned, separated by commas.",
    )
    candidates: int = Field(50, ge=10, description="Candidates asked of each generator.")
    als_engine: Literal["auto", "implicit", "spark"] = Field(
        "auto", description="ALS engine: implicit (in the driver's memory), spark, or auto by size."
    )
    als_max_pairs: int = Field(
        50_000_000, gt=0, description="User-product pairs up to which auto chooses the implicit engine."
    )
    als_factors: int = Field(50, ge=1, description="ALS latent factors.")
    als_iterations: int = Field(15, ge=1, description="ALS iterations.")
    als_regularization: float = Field(0.1, gt=0, description="ALS regularisation.")
    als_alpha: float = Field(40.0, gt=0, description="ALS confidence per unit of rating.")
    als_nonnegative: bool = Field(False, description="Nonnegative ALS factors (Spark engine only; four times slower).")
    covisitation_neighbours: int = Field(50, ge=1, description="Neighbours kept per product.")
    session_walk_ridge: float = Field(10.0, gt=0, description="Session walk: ridge λ of both linear models.")
    session_walk_days: float = Field(
        64.0, gt=0, description="Session walk: age in days, from the latest session, at which a session counts 1/e."
    )
    session_walk_gap: float = Field(
        0.5, gt=0, description="Session walk: distance in a session at which a transition's weight falls to 1/e."
    )
    session_walk_decay: float = Field(
        2.0, gt=0, description="Session walk: number of later touches after which a product's weight falls to 1/e."
    )
    session_walk_alike: float = Field(
        0.7, ge=0, le=1, description="Session walk: share of restarts at similar products rather than at the same."
    )
    session_walk_onward: float = Field(
        0.5, ge=0, lt=1, description="Session walk: probability of a step onward rather than a restart."
    )
    session_walk_neighbours: int = Field(
        100, ge=1, description="Session walk: strongest neighbours in each product's linear system."
    )
    session_walk_recent: float = Field(
        0.1, ge=0, le=1, description="Session walk: share of the log's length, at its end, that is lately."
    )
    session_walk_trend: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Session walk: power of how much more often than before a product is looked at lately; 0 is off.",
    )
    session_walk_width: int = Field(100, ge=1, description="Session walk: products kept of each row of a walk.")
    item_graph_factors: int = Field(448, ge=1, description="Item graph: eigenvectors of the dense parts.")
    item_graph_low_pass: float = Field(0.3, ge=0, description="Item graph: weight of the low pass.")
    item_graph_sharpness: float = Field(2.5, ge=0, description="Item graph: how long it is sharpened.")
    item_graph_width: int = Field(300, ge=1, description="Item graph: strongest edges kept of each product.")
    content_neighbours: int = Field(
        50, ge=1, description="Content: products kept of each product's like, of known and of new ones each."
    )
    content_decay: float = Field(
        2.0, gt=0, description="Content: number of later touches after which a product's weight falls to 1/e."
    )
    session_max_products: int = Field(20, ge=2, description="Latest products of a session that models look at.")
    history_products: int = Field(20, ge=1, description="Latest products of a user that a bundle remembers.")
    bought_days: int = Field(30, ge=0, description="Days during which a bought product is not recommended again.")
    active_days: int = Field(7, ge=1, description="Users seen in the last so many days get precomputed lists.")
    blend_weights: dict[str, float] = Field(
        {"als": 0.2, "covisitation": 0.5, "popularity": 0.1, "session_walk": 3.0, "item_graph": 1.0, "content": 0.5},
        description="Weight of each generator in the reciprocal-rank blend (JSON).",
    )
    blend_offset: float = Field(
        5.0, ge=0, description="Offset of the reciprocal-rank blend: the smaller, the more do first places count."
    )
    ranker: Literal["auto", "reciprocal_rank"] = Field(
        "auto",
        description="What orders lists: auto learns LambdaMART and takes it where it is better, or lets a generator "
        "lead that is better than all together, else reciprocal_rank.",
    )

    # Evaluation and publication
    test_days: float = Field(1.0, gt=0, description="Length of the test slice at the end of the data, in days.")
    evaluation_queries: int = Field(10_000, ge=100, description="Most queries evaluated per task (sampled by hash).")
    bootstrap: int = Field(200, ge=20, description="Bootstrap replicates behind each interval.")
    resume: Unrecorded[bool] = Field(
        False, description="Go on from the finished stages of a training that was killed, if it was asked the same."
    )
    force_publish: bool = Field(False, description="Publish the new bundle even if the gate refuses it.")
    keep_bundles: int = Field(5, ge=1, description="Bundles kept; older ones are deleted, never the champion.")
    keep_runs: int = Field(100, ge=1, description="Runs whose figures are kept in <output>/runs.")

    # Stream
    landing: Unrecorded[Path | None] = Field(
        None, description="Folder into which event files arrive; default <output>/landing."
    )
    files_per_trigger: Unrecorded[int] = Field(50, ge=1, description="Most files taken into one micro-batch.")
    stream_partitions: Unrecorded[int] = Field(
        2, ge=1, description="Partitions of the stream's state; fixed in a checkpoint once made."
    )
    session_window_hours: Unrecorded[int] = Field(
        6, ge=1, description="Length of the window in which a live session is kept."
    )
    session_max_events: int = Field(
        100, ge=2, description="Latest events of a session that count; the same for training and stream."
    )
    watermark_minutes: Unrecorded[int] = Field(
        10,
        ge=1,
        description="How long after the end of a session's window its late events still come into the session.",
    )
    clock_tolerance_minutes: Unrecorded[int] = Field(
        1440, ge=0, description="An event so much later than its file's modification time is rejected: a wrong clock."
    )
    window_minutes: Unrecorded[int] = Field(5, ge=1, description="Length of the windows in which events are counted.")
    lists_seconds: Unrecorded[float] = Field(
        0, ge=0, description="Least time between two micro-batches of lists; 0 is at once."
    )
    windows_seconds: Unrecorded[float] = Field(5, ge=0, description="Least time between two updates of window counts.")
    archive_days: Unrecorded[float | None] = Field(
        None, gt=0, description="Days that events, rejected rows and damaged files are kept; for ever if not set."
    )
    archive_single_minutes: Unrecorded[float] = Field(
        60, ge=0, description="Minutes after which folders of single micro-batches are put together in the archive."
    )
    keep_list_batches: Unrecorded[int] = Field(2_000, ge=1, description="Micro-batches whose lists are kept as files.")
    clean_landing: Unrecorded[bool] = Field(
        False, description="Delete files of the landing folder once they are archived."
    )
    stand_by: Unrecorded[bool] = Field(
        False, description="Wait, instead of exiting, while another stream holds the output."
    )
    metrics_port: Unrecorded[int | None] = Field(
        None, description="Port of the driver's Prometheus metrics; none if not set."
    )

    # API
    host: Unrecorded[str] = Field("127.0.0.1", description="Address that the API listens at; 0.0.0.0 for all.")
    port: Unrecorded[int] = Field(8000, ge=0, le=65_535, description="Port of the API; 0 takes a free one.")
    read_key: Unrecorded[SecretStr | None] = Field(
        None, description="Key that requests for lists carry; none is asked for if not set."
    )
    write_key: Unrecorded[SecretStr | None] = Field(
        None, description="Key that posted events carry; none is asked for if not set."
    )
    request_rate: Unrecorded[float] = Field(
        1_000,
        gt=0,
        description="Requests a second of one key, or of one address without a key; bursts of twice as many.",
    )
    request_bytes: Unrecorded[int] = Field(1_000_000, ge=1_000, description="Largest body of a request.")
    commit_seconds: Unrecorded[float] = Field(
        0.1, ge=0, description="Least time between two files of posted events; events that wait together share one."
    )
    remember_hours: Unrecorded[float] = Field(
        48, ge=24, description="Hours during which an event that is posted again is known by its id."
    )
    drain_seconds: Unrecorded[float] = Field(
        0,
        ge=0,
        description=(
            "Seconds that the API goes on answering once it is told to stop: not ready, and telling clients to close "
            "their connections."
        ),
    )
    attribution_hours: Unrecorded[float] = Field(
        24, gt=0, description="Hours after a list in which an event that names it is attributed to it."
    )
    challenger: Unrecorded[str | None] = Field(
        None, description="Version of a bundle that the API serves to some users beside the champion."
    )
    challenger_share: Unrecorded[float] = Field(
        0.5, ge=0, le=1, description="Share of the users whom the challenger answers."
    )
    experiment: Unrecorded[str | None] = Field(
        None,
        description="Name of the experiment, by which users are split anew; default the challenger's version.",
    )

    # Replay
    replay_speed: Unrecorded[float | None] = Field(
        None, gt=0, description="How many times faster than in the log events arrive."
    )
    replay_rate: Unrecorded[float | None] = Field(None, gt=0, description="Events per second, in place of a speed.")
    replay_tick: Unrecorded[float] = Field(1.0, gt=0, description="Seconds between two files that a replay delivers.")
    replay_max_gap: Unrecorded[float | None] = Field(
        None, gt=0, description="Longest silence of a replay, in seconds of its own time."
    )
    replay_limit: Unrecorded[int | None] = Field(
        None,
        ge=1,
        description="Events after which a replay ends, counted from the log's first: what earlier runs played counts.",
    )
    replay_present: Unrecorded[bool] = Field(
        False, description="Give events the time at which they are played, in place of their own: an old log lives now."
    )

    # InfluxDB; without a URL the stream runs with the file sinks alone
    influx_url: Unrecorded[str | None] = Field(
        None, description="URL of InfluxDB 2, for example http://localhost:8086."
    )
    influx_token: Unrecorded[SecretStr | None] = Field(
        None, description="Token that may write to the bucket; the API's reads it too."
    )
    influx_org: Unrecorded[str] = Field("vitrine", description="Organisation.")
    influx_bucket: Unrecorded[str] = Field("vitrine", description="Bucket.")
    influx_days: Unrecorded[float | None] = Field(
        None,
        gt=0,
        description="Days after which the stream deletes points of lists, progress and the API; never if not set.",
    )
    influx_timeout: Unrecorded[float] = Field(30.0, gt=0, description="Seconds after which a write is tried again.")

    # Spark
    master: Unrecorded[str] = Field("local[*]", description="Spark master, where spark-submit has not set one.")
    driver_memory: Unrecorded[str] = Field("4g", description="Driver heap, where spark-submit has not set one.")
    shuffle_partitions: Unrecorded[int | None] = Field(
        None, ge=1, description="Shuffle partitions; default fits the data."
    )

    def recorded(self) -> dict[str, JsonValue]:
        """What a bundle's manifest records, by name: every setting that is not declared `Unrecorded`."""
        unrecorded = {name for name, field in type(self).model_fields.items() if NOT_RECORDED in field.metadata}
        return self.model_dump(mode="json", exclude=unrecorded)

    @property
    def segment_count(self) -> int | None:
        """Number of segments; None where it is left to the data."""
        return None if self.segments == "auto" else self.segments

    @property
    def most_segments(self) -> int:
        """So many there are at most."""
        return self.segment_count or MOST_SEGMENTS

    @field_validator("blend_weights", "profiles", mode="before")
    @classmethod
    def _json(cls, value: Any) -> Any:
        """A flag gives JSON text."""
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("read_key", "write_key")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]{16,}", value.get_secret_value()):
            raise ValueError("needs 16 characters or more, of ASCII and without blanks")
        return value

    @field_validator("experiment")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and (value == "none" or not re.fullmatch(r"[\w.-]{1,64}", value)):
            raise ValueError("needs 1 to 64 letters, digits, '_', '.' or '-', and must not be none")
        return value

    @field_validator("port", "metrics_port", mode="before")
    @classmethod
    def _not_of_kubernetes(cls, value: Any, info: ValidationInfo) -> Any:
        """In every pod beside a Service called vitrine, or vitrine-metrics, the variable holds that one's address."""
        linked = isinstance(value, str) and value.startswith(("tcp://", "udp://"))
        return cls.model_fields[str(info.field_name)].default if linked else value

    @field_validator("output", "landing", mode="before")
    @classmethod
    def _local(cls, value: Any) -> Any:
        return local_path(value) if isinstance(value, str | Path) else value

    @field_validator("influx_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if not value:  # as a manifest unsets what another one sets
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("is no time zone; give one like UTC or Europe/Paris")
        return value


def load_settings(**flags: Any) -> Settings:
    """Settings from flags and environment.

    Parameters
    ----------
    **flags
        Values given on the command line; None means not given.

    Raises
    ------
    InputError
        A value is not valid, or there is no such variable; the message names the flag or variable.
    """
    _refuse_unknown(os.environ)
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        secret, variable = _is_secret(name), f"VITRINE_{name.upper()}"
        given = "" if secret else f", got {first.get('input')!r}"
        place = variable if secret else f"--{name.replace('_', '-')} or {variable}"
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"setting {name} ({place}): {message}{given}") from None
    except ValueError as error:  # a VITRINE_ variable that is not valid JSON
        raise InputError(f"settings: {error}") from None


def _is_secret(name: str) -> bool:
    """Whether a setting's value must not be shown."""
    field = Settings.model_fields.get(name)
    return field is not None and SecretStr in (field.annotation, *get_args(field.annotation))


def _refuse_unknown(environment: Iterable[str]) -> None:
    """A misspelt variable would else be passed over in silence."""
    known = [name.upper() for name in Settings.model_fields]
    for variable in environment:
        name = variable.upper().removeprefix(PREFIX)
        if name == variable.upper() or name in known or OF_KUBERNETES.search(name):
            continue
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {PREFIX}{close[0]}?" if close else "'vitrine settings' lists them all"
        raise InputError(f"variable {variable}: there is no such setting; {hint}")
