"""The image's recipe and entrypoint, without building it."""

import os
import re
import subprocess
from pathlib import Path

import pytest

NOT_CLASSIC = (r"^RUN\s+--mount", r"<<-?['\"]?\w+", r"^COPY\s.*--(chmod|link|parents)", r"^#\s*syntax=")


def test_classic_builder_can_build_it(root: Path) -> None:
    text = (root / "docker/Dockerfile").read_text()
    for pattern in NOT_CLASSIC:
        assert not re.search(pattern, text, flags=re.MULTILINE), pattern


def test_source_is_copied_last_and_user_is_not_root(root: Path) -> None:
    lines = (root / "docker/Dockerfile").read_text().splitlines()
    final = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM")) :]
    words = [line for line in final if re.match(r"[A-Z]+ ", line)]
    assert words[-5] == "COPY app app"
    assert words[-3] == "USER 185:185"
    assert "--require-hashes -r /build/requirements.lock" in "\n".join(lines)


@pytest.fixture
def entrypoint(root: Path, tmp_path: Path) -> list[str]:
    """The entrypoint, with a tini, a java and a spark-submit that print how they are called."""
    commands = {
        "tini": 'shift 2; exec "$@"',
        "java": "printf '%s\\n' java \"$@\"; exit 7",
        "bin/spark-submit": "printf '%s\\n' spark-submit \"$@\"; exit 5",
    }
    for name, body in commands.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)
    return [str(root / "docker/entrypoint.sh")]


def call(entrypoint: list[str], folder: Path, *words: str, **variables: str) -> tuple[int, list[str]]:
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "SPARK_HOME": str(folder), **variables}
    done = subprocess.run([*entrypoint, *words], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines() + done.stderr.splitlines()


def test_driver(entrypoint: list[str], tmp_path: Path) -> None:
    """`driver …` is spark-submit in client mode, and its exit code comes through."""
    arguments = ["--properties-file", "/opt/spark/conf/spark.properties", "local:///a b.py"]
    code, said = call(entrypoint, tmp_path, "driver", *arguments, SPARK_DRIVER_BIND_ADDRESS="10.0.0.1")
    bind = "spark.driver.bindAddress=10.0.0.1"
    assert (code, said) == (5, ["spark-submit", "--conf", bind, "--deploy-mode", "client", *arguments])


def test_where_loops_cannot_be_kept_it_goes_on(entrypoint: list[str], tmp_path: Path) -> None:
    code, said = call(entrypoint, tmp_path, "java", NUMBA_CACHE_DIR=str(tmp_path / "missing" / "loops"))
    assert (code, said[0]) == (7, "java")
    assert said[-1].startswith("loops will be compiled anew")


def test_executor(entrypoint: list[str], tmp_path: Path) -> None:
    """JVM options keep their order (2 before 10) and their spaces."""
    options = {f"SPARK_JAVA_OPT_{number}": f"-Doption={number} x" for number in range(12)}
    variables = {
        "SPARK_EXECUTOR_MEMORY": "512m",
        "SPARK_DRIVER_URL": "spark://driver",
        "SPARK_EXECUTOR_ID": "3",
        "SPARK_EXECUTOR_CORES": "1",
        "SPARK_APPLICATION_ID": "app",
        "SPARK_EXECUTOR_POD_IP": "10.0.0.2",
        "SPARK_RESOURCE_PROFILE_ID": "0",
        "SPARK_EXECUTOR_POD_NAME": "exec-3",
        "SPARK_CONF_DIR": "/conf",
    }
    code, said = call(entrypoint, tmp_path, "executor", **options, **variables)
    assert code == 7
    assert said[:15] == ["java", *(f"-Doption={number} x" for number in range(12)), "-Xms512m", "-Xmx512m"]
    assert said[15:17] == ["-cp", f"{tmp_path}/jars/*:/conf"]
    flags = dict(zip(said[18::2], said[19::2], strict=True))
    assert flags["--executor-id"] == "3"
    assert flags["--hostname"] == "10.0.0.2"
    assert flags["--podName"] == "exec-3"


def test_a_missing_variable_is_an_error(entrypoint: list[str], tmp_path: Path) -> None:
    code, said = call(entrypoint, tmp_path, "driver", "x.py")
    assert code != 0
    assert "SPARK_DRIVER_BIND_ADDRESS" in said[-1]


def test_any_other_command_is_run_as_it_stands(entrypoint: list[str], tmp_path: Path) -> None:
    code, said = call(entrypoint, tmp_path, "bash", "-c", 'echo "$@"; exit 3', "-", "a b")
    assert (code, said) == (3, ["a b"])
