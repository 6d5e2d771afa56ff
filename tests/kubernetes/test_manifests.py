"""The manifests: one image, one namespace, locked down, small enough for a laptop, no secret."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.settings import Settings
from tests.kubernetes.conftest import ROOT, Manifests

ALL = ["manifests", "manifests/overlays/laptop", "manifests/overlays/production"]


def pod_specs(one: dict[str, Any]) -> list[dict[str, Any]]:
    """Pod specs of a Job, CronJob or Deployment, none of anything else."""
    if one["kind"] not in ("Job", "CronJob", "Deployment"):
        return []
    return [one["spec"].get("jobTemplate", one)["spec"]["template"]["spec"]]


def sparks(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == "SparkApplication"]


def cores(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


@pytest.mark.parametrize("folder", ALL)
def test_one_namespace_and_one_image(manifests: Manifests, folder: str) -> None:
    objects = manifests(folder)
    spaces = {one["metadata"].get("namespace") for one in objects if one["kind"] != "Namespace"}
    images = set(re.findall(r"^\s*-? ?image: (.+)$", yaml.safe_dump_all(objects), flags=re.MULTILINE))
    assert spaces == {"vitrine"}
    assert images == {"REGISTRY/vitrine:VERSION" if folder.endswith("production") else "vitrine:dev"}


def test_another_namespace_image_and_settings_take_one_layer(manifests: Manifests, tmp_path: Path) -> None:
    """Nothing names the namespace: a layer above changes all of it, settings and accounts included."""
    layer = ROOT / "build" / f"layer-{tmp_path.name}"
    layer.mkdir(parents=True)
    try:
        (layer / "kustomization.yaml").write_text(
            yaml.safe_dump(
                {
                    "resources": ["../../manifests"],
                    "namespace": "boutique",
                    "images": [{"name": "vitrine", "newName": "example.org/shop", "newTag": "7"}],
                    "configMapGenerator": [
                        {"name": "settings", "behavior": "merge", "literals": ["VITRINE_INFLUX_BUCKET=clicks"]}
                    ],
                }
            )
        )
        text = yaml.safe_dump_all(manifests(layer))
    finally:
        (layer / "kustomization.yaml").unlink(missing_ok=True)
        layer.rmdir()
    assert "namespace: vitrine" not in text
    assert set(re.findall(r"image: (.+)", text)) == {"example.org/shop:7"}
    assert "VITRINE_INFLUX_BUCKET: clicks" in text
    assert "VITRINE_INFLUX_ORG: vitrine" in text


def test_references_meet_objects(manifests: Manifests) -> None:
    """ConfigMaps, accounts and volumes that are named are there; Secrets come from the charts and scripts/api-keys."""
    objects = manifests("manifests")
    have = {(one["kind"], one["metadata"]["name"]) for one in objects}
    text = yaml.safe_dump_all(objects)
    for name in re.findall(r"configMapRef:\n\s+name: (.+)", text):
        assert ("ConfigMap", name) in have
    for name in re.findall(r"claimName: (.+)", text):
        assert ("PersistentVolumeClaim", name) in have
    for name in re.findall(r"serviceAccount(?:Name)?: (.+)", text):
        assert ("ServiceAccount", name) in have
    assert set(re.findall(r"secretKeyRef:\n\s+key: (.+)\n\s+name: (.+)", text)) == {
        ("token", "influxdb-auth"),
        ("read-key", "api-auth"),
        ("write-key", "api-auth"),
    }
    assert not [one for one in objects if one["kind"] == "Secret"]


@pytest.mark.parametrize("folder", ALL)
def test_settings_are_settings(manifests: Manifests, folder: str) -> None:
    known = {f"VITRINE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bVITRINE_[A-Z_]+", yaml.safe_dump_all(manifests(folder)))) <= known


def test_changed_settings_restart_the_stream(manifests: Manifests) -> None:
    """The ConfigMap's name holds its content's hash, and the applications name it by that."""
    stream = manifests.one("manifests", "SparkApplication", "stream")
    assert re.fullmatch(r"settings-\w{10}", stream["spec"]["driver"]["envFrom"][0]["configMapRef"]["name"])


@pytest.mark.parametrize("folder", ALL)
def test_pods_are_locked_down(manifests: Manifests, folder: str) -> None:
    pods: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    for one in manifests(folder):
        pods += [
            (pod["securityContext"], [*pod["containers"], *pod.get("initContainers", [])]) for pod in pod_specs(one)
        ]
        if one["kind"] == "SparkApplication":
            for role in (one["spec"]["driver"], one["spec"]["executor"]):
                pods.append((role["podSecurityContext"], [role, *role.get("initContainers", [])]))
    assert pods
    for context, containers in pods:
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == 185
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


@pytest.mark.parametrize("folder", ALL)
def test_no_pod_gets_a_service_s_address_for_a_setting(manifests: Manifests, folder: str) -> None:
    """Beside a Service called vitrine-api, Kubernetes sets VITRINE_API_PORT and the like."""
    for one in manifests(folder):
        assert all(pod["enableServiceLinks"] is False for pod in pod_specs(one)), one["metadata"]["name"]


def test_namespace_refuses_other_pods(manifests: Manifests) -> None:
    labels = manifests.one("manifests", "Namespace", "vitrine")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_spark_applications(manifests: Manifests) -> None:
    """What the operator needs: cluster mode, the volume on both sides, fsGroup, scratch space."""
    for one in sparks(manifests("manifests")):
        spec = one["spec"]
        assert spec["mode"] == "cluster"
        assert spec["sparkVersion"] == "4.3.0"
        for role in (spec["driver"], spec["executor"]):
            assert role["podSecurityContext"]["fsGroup"] == 185
            mounts = {mount["name"]: mount["mountPath"] for mount in role["volumeMounts"]}
            assert mounts["data"] == "/data"
            assert not [mount for mount in role["volumeMounts"] if mount.get("readOnly")], "all are written to"
            assert mounts["tmp"] == "/tmp"
            assert "spark-local-dir-1" in mounts
        assert spec["mainApplicationFile"].startswith("local:///opt/vitrine/app/jobs/")
        assert (ROOT / spec["mainApplicationFile"].removeprefix("local:///opt/vitrine/")).is_file()


def test_a_second_driver_of_the_stream_waits(manifests: Manifests) -> None:
    """As when a node is cut off: one that ended instead would be started again and again."""
    driver = manifests.one("manifests", "SparkApplication", "stream")["spec"]["driver"]
    assert {"name": "VITRINE_STAND_BY", "value": "true"} in driver["env"]


def test_restart_policies(manifests: Manifests) -> None:
    stream, train = (manifests.one("manifests", "SparkApplication", name) for name in ("stream", "train"))
    assert stream["spec"]["restartPolicy"]["type"] == "Always"
    assert train["spec"]["restartPolicy"]["type"] == "Never"
    assert train["spec"]["suspend"] is True


def test_requests_fit_a_laptop_of_two_cores(manifests: Manifests) -> None:
    """Everything that runs at once: stream, training, launcher, replay, the API with one pod more as it is replaced;
    InfluxDB and Grafana take 150m."""
    total = 0.15
    for one in manifests("manifests"):
        for pod in pod_specs(one):
            replicas = 3 if one["kind"] == "Deployment" else 1
            total += replicas * sum(cores(container["resources"]["requests"]["cpu"]) for container in pod["containers"])
        if one["kind"] == "SparkApplication":
            driver, executor = one["spec"]["driver"], one["spec"]["executor"]
            total += cores(driver["coreRequest"]) + executor["instances"] * cores(executor["coreRequest"])
    assert total <= 1.5


def test_cron_job(manifests: Manifests) -> None:
    cron = manifests.one("manifests", "CronJob", "retrain")["spec"]
    assert cron["concurrencyPolicy"] == "Forbid"
    assert cron["timeZone"] == "Etc/UTC"
    assert cron["successfulJobsHistoryLimit"] == cron["failedJobsHistoryLimit"] == 3
    job = cron["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] == 14400
    assert "--template=train" in job["template"]["spec"]["containers"][0]["args"]


def test_roles_are_small(manifests: Manifests) -> None:
    roles = {one["metadata"]["name"]: one["rules"] for one in manifests("manifests") if one["kind"] == "Role"}
    assert set(roles) == {"driver", "launcher"}
    assert not [one for one in manifests("manifests") if one["kind"].startswith("ClusterRole")]
    for rules in roles.values():
        for rule in rules:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "secrets" not in rule["resources"]


def test_executors_and_jobs_have_no_token(manifests: Manifests) -> None:
    for name in ("executor", "job"):
        assert manifests.one("manifests", "ServiceAccount", name)["automountServiceAccountToken"] is False


def test_production_has_a_shared_volume_and_no_demo(manifests: Manifests) -> None:
    objects = manifests("manifests/overlays/production")
    volume = next(one for one in objects if one["kind"] == "PersistentVolumeClaim")
    assert volume["spec"]["accessModes"] == ["ReadWriteMany"]
    assert not [one for one in objects if one["kind"] == "Job"]
    stream = manifests.one("manifests/overlays/production", "SparkApplication", "stream")["spec"]
    assert stream["dynamicAllocation"]["maxExecutors"] > stream["dynamicAllocation"]["minExecutors"]
    assert stream["driver"]["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("folder", ALL)
def test_what_waits_for_a_bundle_says_so_once(manifests: Manifests, folder: str) -> None:
    """Init containers of stream, replay and API: without a word in the loop."""
    text = yaml.safe_dump_all(manifests(folder), width=1_000)
    waiting = re.findall(r"published \|\| echo .+\n\s+until published; do (.+?); done", text)
    assert waiting == ["sleep 2"] * (2 if folder.endswith("production") else 3)
    assert not re.search(r"until .*echo", text)


def test_what_skaffold_deploys_holds_no_data(manifests: Manifests) -> None:
    kinds = {one["kind"] for one in manifests("manifests/overlays/laptop")}
    assert not kinds & {"Namespace", "PersistentVolumeClaim"}


def test_the_demo_s_first_training_has_a_whole_week_on_any_day(manifests: Manifests) -> None:
    """Besides the log's first one: *Customers* shows the last whole week, which 14 days have wherever they begin."""
    (job,) = [one for one in manifests("manifests") if (one["kind"], one["metadata"]["name"]) == ("Job", "generate")]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (days,) = map(int, re.findall(r"--days (\d+)", container["args"][0]))
    events, history = (int(variable["value"]) for variable in container["env"])
    assert days * history / events > 14
