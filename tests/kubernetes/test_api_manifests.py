"""The API in the cluster: replaced without a gap, writing only where it must, its keys from a Secret."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.events.forgotten import ForgottenUsers
from app.events.merged_users import MergedUsers
from app.jobs.serve import STOP_SECONDS
from tests.kubernetes.conftest import ROOT, Manifests

LAPTOP, PRODUCTION = "manifests", "manifests/overlays/production"
BOTH = pytest.mark.parametrize("folder", [LAPTOP, PRODUCTION])


def deployment(manifests: Manifests, folder: str) -> dict[str, Any]:
    return manifests.one(folder, "Deployment", "vitrine-api")


def pod(manifests: Manifests, folder: str) -> dict[str, Any]:
    return dict(deployment(manifests, folder)["spec"]["template"]["spec"])


def server(manifests: Manifests, folder: str) -> dict[str, Any]:
    (container,) = pod(manifests, folder)["containers"]
    return dict(container)


@BOTH
def test_two_replicas_at_least_and_the_autoscaler_alone_sets_them(manifests: Manifests, folder: str) -> None:
    scaler = manifests.one(folder, "HorizontalPodAutoscaler", "vitrine-api")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vitrine-api"}
    assert scaler["minReplicas"] == 2
    assert scaler["maxReplicas"] > 2
    assert "replicas" not in deployment(manifests, folder)["spec"], "each apply would set them back"


@BOTH
def test_service_budget_and_deployment_mean_the_same_pods(manifests: Manifests, folder: str) -> None:
    own = {"app.kubernetes.io/component": "api"}
    spec = deployment(manifests, folder)["spec"]
    service = manifests.one(folder, "Service", "vitrine-api")["spec"]
    budget = manifests.one(folder, "PodDisruptionBudget", "vitrine-api")["spec"]
    assert spec["selector"]["matchLabels"] == service["selector"] == budget["selector"]["matchLabels"] == own
    assert spec["template"]["metadata"]["labels"] == own
    assert budget["maxUnavailable"] == 1
    (port,) = service["ports"]
    assert port["targetPort"] in {one["name"] for one in server(manifests, folder)["ports"]}


@BOTH
def test_pods_are_replaced_without_a_gap(manifests: Manifests, folder: str) -> None:
    """A new one is ready before an old one goes, and that one has time to finish what it is doing."""
    update = deployment(manifests, folder)["spec"]["strategy"]["rollingUpdate"]
    assert (update["maxUnavailable"], update["maxSurge"]) == (0, 1)
    (drain,) = [one["value"] for one in server(manifests, folder)["env"] if one["name"] == "VITRINE_DRAIN_SECONDS"]
    assert int(drain) >= 10
    assert pod(manifests, folder)["terminationGracePeriodSeconds"] > int(drain) + STOP_SECONDS


@BOTH
def test_probes_ask_what_the_server_answers(manifests: Manifests, folder: str) -> None:
    container = server(manifests, folder)
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/health/live", "readiness": "/health/ready", "liveness": "/health/live"}


@BOTH
def test_all_is_read_only_but_what_the_api_writes(manifests: Manifests, folder: str) -> None:
    """The log of posted events, the lists of users and the landing folder, wherever the settings have them."""
    name = server(manifests, folder)["envFrom"][0]["configMapRef"]["name"]
    settings = manifests.one(folder, "ConfigMap", name)["data"]
    output = settings["VITRINE_OUTPUT"]
    landing = settings.get("VITRINE_LANDING", f"{output}/landing")
    mounts = server(manifests, folder)["volumeMounts"]
    writable = {one["mountPath"]: one.get("subPath") for one in mounts if not one.get("readOnly")}
    assert writable.pop("/tmp") is None
    lists = [str(users(Path(output)).folder) for users in (ForgottenUsers, MergedUsers)]
    assert writable == {path: path.removeprefix("/data/") for path in (f"{output}/api", landing, *lists)}
    (volume,) = [one for one in mounts if one.get("readOnly")]
    assert (volume["name"], volume["mountPath"]) == ("data", "/data")


@BOTH
def test_keys_come_from_the_secret_and_no_token_of_the_cluster(manifests: Manifests, folder: str) -> None:
    env = {one["name"]: one for one in server(manifests, folder)["env"]}
    for name, key in (("VITRINE_READ_KEY", "read-key"), ("VITRINE_WRITE_KEY", "write-key")):
        assert env[name]["valueFrom"]["secretKeyRef"] == {"name": "api-auth", "key": key}
    token = env["VITRINE_INFLUX_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert token == {"name": "influxdb-auth", "key": "token", "optional": True}, "lists do without InfluxDB"
    account = manifests.one(folder, "ServiceAccount", pod(manifests, folder)["serviceAccountName"])
    assert account["automountServiceAccountToken"] is False


def shell(container: dict[str, Any], folder: Path, **variables: str) -> subprocess.Popen[str]:
    """A container's own command, on this machine."""
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [*container["command"], *container["args"]]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("landing", ["landing", "elsewhere/landing"])
def test_a_pod_waits_for_a_bundle_and_makes_its_folders(manifests: Manifests, tmp_path: Path, landing: str) -> None:
    (init,) = pod(manifests, LAPTOP)["initContainers"]
    (tmp_path / "models").mkdir()
    process = shell(init, tmp_path, VITRINE_OUTPUT=str(tmp_path), VITRINE_LANDING=str(tmp_path / landing))
    assert process.stdout is not None
    assert process.stdout.readline() == "no bundle is published yet; waiting for the first training\n"
    assert process.poll() is None
    made = {"api", landing.partition("/")[0], "forgotten", "merged"}
    assert {path.name for path in tmp_path.iterdir()} == {"models", *made}
    assert (tmp_path / landing).is_dir()
    (tmp_path / "models" / "CURRENT").write_text("20261127_000000\n")
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 0


def test_a_pod_whose_folders_cannot_be_made_does_not_wait_but_fails(manifests: Manifests, tmp_path: Path) -> None:
    (init,) = pod(manifests, LAPTOP)["initContainers"]
    (tmp_path / "file").touch()
    process = shell(init, tmp_path, VITRINE_OUTPUT=str(tmp_path / "file"))
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode not in (0, None)


def first_training(manifests: Manifests, folder: Path, *, python: str) -> subprocess.Popen[str]:
    """The Job, with a `python` that shows how it is called."""
    job = manifests.one(LAPTOP, "Job", "first-training")["spec"]["template"]["spec"]
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text(f"#!/bin/sh\n{python}\n")
    (folder / "bin" / "python").chmod(0o755)
    variables = {"VITRINE_OUTPUT": str(folder), "VITRINE_EVENTS": f"{folder}/log.csv,{folder}/archive"}
    path = f"{folder}/bin:{os.environ['PATH']}"
    return shell(job["containers"][0], folder, **variables, PATH=path, POD_NAME="pod", POD_UID="7")


def test_the_first_training_starts_once_there_are_events(manifests: Manifests, tmp_path: Path) -> None:
    process = first_training(manifests, tmp_path, python='echo "$@" $(env | grep -c VITRINE_)')
    assert process.stdout is not None
    assert process.stdout.readline() == f"waiting for the events of {tmp_path}/log.csv\n"
    assert process.poll() is None
    (tmp_path / "log.csv").touch()
    said = process.communicate(timeout=30)[0].split()
    assert said == ["-m", "app.jobs.retrain", "--template=train", "--keep=3", "--owner=pod/7", "0"]


def test_no_first_training_where_there_is_a_bundle(manifests: Manifests, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "CURRENT").write_text("20261127_000000\n")
    process = first_training(manifests, tmp_path, python="exit 3")
    assert process.communicate(timeout=30)[0] == "a bundle is published already\n"
    assert process.returncode == 0


def test_the_replay_lives_now(manifests: Manifests) -> None:
    job = manifests.one(LAPTOP, "Job", "replay")["spec"]["template"]["spec"]
    env = {one["name"]: one["value"] for one in job["containers"][0]["env"]}
    assert env["VITRINE_REPLAY_PRESENT"] == "true"


@pytest.fixture
def kubectl(tmp_path: Path) -> Path:
    """A kubectl that has the Secret where a file `there` is, and keeps what it is given to create."""
    path = tmp_path / "kubectl"
    path.write_text(
        '#!/bin/sh\necho "$@" >>calls\n'
        'case " $* " in *" get "*) [ ! -e there ] || echo secret/api-auth ;; *" create "*) cat >created ;; esac\n'
    )
    path.chmod(0o755)
    return tmp_path


def make_keys(folder: Path) -> None:
    path = f"{folder}:{os.environ['PATH']}"
    command = [str(ROOT / "scripts/api-keys"), "boutique", "--context", "kind-x"]
    subprocess.run(command, cwd=folder, env={"PATH": path}, check=True, timeout=30)


def test_keys_are_random_and_long_enough(kubectl: Path) -> None:
    seen = set()
    for _ in range(2):
        make_keys(kubectl)
        made = json.loads((kubectl / "created").read_text())
        assert made["metadata"]["name"] == "api-auth"
        seen |= set(made["stringData"].values())
    assert len(seen) == 4
    assert all(len(key) == 48 for key in seen)
    calls = (kubectl / "calls").read_text().splitlines()
    assert all(call.startswith("--context kind-x -n boutique ") for call in calls)
    assert not [key for key in seen if key in "".join(calls)], "other users of the machine could read it"


def test_keys_that_are_there_stay(kubectl: Path) -> None:
    (kubectl / "there").touch()
    make_keys(kubectl)
    assert not (kubectl / "created").exists()
