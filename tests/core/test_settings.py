"""Settings from flags and variables: flags win, mistakes are told in one line, secrets stay hidden."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import Field, SecretStr

from app.cli import main
from app.core.errors import InputError
from app.core.settings import Settings, Unrecorded, load_settings

SECRET = "s3cret-token-of-influx"


def test_defaults() -> None:
    settings = load_settings()
    assert settings.events is None
    assert settings.output == Path("vitrine-output")
    assert settings.segments == 5
    assert settings.seed == 42
    assert settings.max_rejected_share == 0.05
    assert not settings.als_nonnegative


def test_a_variable_wins_over_the_default_and_a_flag_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_SEGMENTS", "7")
    monkeypatch.setenv("VITRINE_OUTPUT", "/tmp/elsewhere")
    monkeypatch.setenv("VITRINE_BLEND_WEIGHTS", '{"als": 2.0}')
    assert load_settings().segments == 7
    assert load_settings().output == Path("/tmp/elsewhere")
    assert load_settings().blend_weights == {"als": 2.0}
    assert load_settings(segments=3).segments == 3
    assert load_settings(segments=None).segments == 7  # a flag not given
    assert load_settings(blend_weights='{"popularity": 1}').blend_weights == {"popularity": 1.0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("segments", "five"),
        ("segments", "1"),
        ("delimiter", ";;"),
        ("max_rejected_share", "1.5"),
        ("max_price", "-1"),
        ("als_engine", "fast"),
        ("blend_weights", "{als: 1}"),
        ("blend_weights", '{"als": "much"}'),
        ("timezone", "Mars/Olympus"),
        ("influx_url", "localhost:8086"),
        ("force_publish", "maybe"),
        ("keep_bundles", "0"),
        ("output", "s3a://bucket/shop"),
        ("landing", "s3a://bucket/landing"),
    ],
)
def test_an_invalid_value_is_one_line_that_names_the_setting(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError) as raised:
        load_settings(**{name: value})
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)
    monkeypatch.setenv(f"VITRINE_{name.upper()}", value)
    with pytest.raises(InputError) as raised:
        load_settings()
    assert name in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_empty_address_of_influxdb_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a manifest unsets what another one sets; it ended a training that was otherwise done."""
    monkeypatch.setenv("VITRINE_INFLUX_URL", "")
    assert load_settings().influx_url is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("VITRINE_OUTPTU", "VITRINE_OUTPUT"),
        ("VITRINE_SEGMENT", "VITRINE_SEGMENTS"),
        ("vitrine_evnts", "VITRINE_EVENTS"),
        ("VITRINE_XYZZY", "vitrine settings"),
    ],
)
def test_a_misspelt_variable_is_refused_with_a_suggestion(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(InputError) as raised:
        load_settings()
    assert name in str(raised.value)
    assert hint in str(raised.value)


@pytest.mark.parametrize(
    "name", ["VITRINE_STREAM_SERVICE_HOST", "VITRINE_STREAM_PORT_80_TCP_ADDR", "VITRINE_STREAM_SERVICE_PORT_HTTP"]
)
def test_variables_that_kubernetes_sets_are_passed_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "10.0.0.1")
    load_settings()


def test_an_unknown_flag_is_refused() -> None:
    with pytest.raises(InputError, match="outptu"):
        load_settings(outptu="x")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().seed = 1


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_INFLUX_TOKEN", SECRET)
    settings = load_settings()
    assert settings.influx_token is not None
    assert settings.influx_token.get_secret_value() == SECRET
    shown = [repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())]
    shown.append(json.dumps(settings.recorded()))  # what training writes into a bundle's manifest
    runner = CliRunner()
    shown += [runner.invoke(main, [name, "--help"]).output for name in main.commands]
    shown.append(runner.invoke(main, ["settings"]).output)
    assert not [text for text in shown if SECRET in text]


def test_an_error_beside_a_secret_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_INFLUX_TOKEN", SECRET)
    with pytest.raises(InputError) as raised:
        load_settings(segments="x")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("key", ["sh0rt-secret", "a key with blanks in it", "ключ-из-шестнадцати-букв"])
def test_an_error_of_a_secret_does_not_show_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VITRINE_READ_KEY", key)
    with pytest.raises(InputError, match=r"VITRINE_READ_KEY.*needs 16 characters or more") as raised:
        load_settings()
    assert key not in str(raised.value)


#: Settings of the places of things, of the stream, the API, the replay, InfluxDB and Spark's session.
NOT_OF_THE_MODEL = {
    "events",
    "output",
    "landing",
    "files_per_trigger",
    "stream_partitions",
    "session_window_hours",
    "watermark_minutes",
    "clock_tolerance_minutes",
    "window_minutes",
    "lists_seconds",
    "windows_seconds",
    "archive_days",
    "archive_single_minutes",
    "influx_days",
    "stand_by",
    "keep_list_batches",
    "clean_landing",
    "metrics_port",
    "host",
    "port",
    "read_key",
    "write_key",
    "request_rate",
    "request_bytes",
    "commit_seconds",
    "remember_hours",
    "drain_seconds",
    "attribution_hours",
    "challenger",
    "challenger_share",
    "experiment",
    "replay_speed",
    "replay_rate",
    "replay_tick",
    "replay_max_gap",
    "replay_limit",
    "replay_present",
    "influx_url",
    "influx_token",
    "influx_org",
    "influx_bucket",
    "influx_timeout",
    "master",
    "driver_memory",
    "shuffle_partitions",
    "resume",
}


def test_manifests_record_every_setting_that_shapes_the_model() -> None:
    settings = Settings(als_factors=7, influx_token=SecretStr(SECRET))
    recorded = settings.recorded()
    assert set(Settings.model_fields) - set(recorded) == NOT_OF_THE_MODEL
    assert recorded["als_factors"] == 7
    assert SECRET not in json.dumps(recorded)


def test_a_new_setting_is_recorded_unless_declared_otherwise() -> None:
    class More(Settings):
        depth: int = Field(3, description="Shapes the model.")
        place: Unrecorded[Path | None] = Field(None, description="Does not.")

    assert More().recorded() == Settings().recorded() | {"depth": 3}


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_a_service_of_the_same_name_does_not_set_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes puts the address of each Service of a namespace into variables of its pods."""
    monkeypatch.setenv("VITRINE_PORT", "tcp://10.96.0.7:80")
    monkeypatch.setenv("VITRINE_METRICS_PORT", "tcp://10.96.0.8:9090")
    settings = load_settings()
    assert (settings.port, settings.metrics_port) == (8000, None)
