"""The Kubernetes manifests: what the API server would take, and what a server needs to be safe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from bookstore_y.cli import parser
from bookstore_y.settings import BookstoreSettings
from bookstore_y.store import S3YStore

FOLDER = Path(__file__).parents[2] / "kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
MANIFESTS = [
    pytest.param(manifest, id=f"{path.stem}-{manifest['kind']}-{manifest['metadata']['name']}")
    for path in FILES
    for manifest in yaml.safe_load_all(path.read_text())
]
VERSIONS = ("1.31", kubernetes_validate.latest_version())


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [each.values[0] for each in MANIFESTS if each.values[0]["kind"] in kinds]  # type: ignore[index,misc]


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in of_kind(kind) if each["metadata"]["name"] == name)
    return found


def containers() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{manifest['metadata']['name']}/{container['name']}", container)
        for manifest in of_kind("Deployment", "Job")
        for container in (
            *pod_of(manifest)["containers"],
            *pod_of(manifest).get("initContainers", []),
        )
    ]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS)
def test_the_schemas_of_kubernetes_accept_it(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_all_parts_are_there() -> None:
    found = {(each["kind"], each["metadata"]["name"]) for each in of_kind("Deployment", "Job")}
    assert found == {
        ("Deployment", "s3"),
        ("Deployment", "jupyter"),
        ("Job", "locust-master"),
        ("Job", "locust-workers"),
    }


@pytest.mark.parametrize("manifest", of_kind("Service"), ids=lambda each: each["metadata"]["name"])
def test_a_service_finds_pods_and_their_ports(manifest: dict[str, Any]) -> None:
    spec = manifest["spec"]
    pods = [
        each["spec"]["template"]
        for each in of_kind("Deployment", "Job")
        if spec["selector"].items() <= each["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert len(pods) == 1
    ports = {
        port["name"]
        for container in pods[0]["spec"]["containers"]
        for port in container.get("ports", [])
    }
    assert {port["targetPort"] for port in spec["ports"]} <= ports


@pytest.mark.parametrize(("name", "container"), containers(), ids=lambda each: str(each)[:30])
def test_a_container_asks_for_what_it_needs_and_gains_nothing(
    name: str, container: dict[str, Any]
) -> None:
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["image"].rpartition(":")[2] not in ("", "latest")


@pytest.mark.parametrize(
    "manifest", of_kind("Deployment"), ids=lambda each: each["metadata"]["name"]
)
def test_a_deployment_is_probed(manifest: dict[str, Any]) -> None:
    for container in pod_of(manifest)["containers"]:
        assert {"readinessProbe", "livenessProbe"} <= container.keys()


@pytest.mark.parametrize("manifest", of_kind("Job"), ids=lambda each: each["metadata"]["name"])
def test_a_job_ends_and_is_not_tried_again(manifest: dict[str, Any]) -> None:
    assert manifest["spec"]["backoffLimit"] == 0
    assert manifest["spec"]["activeDeadlineSeconds"] > 0


def test_secrets_come_from_a_secret_and_are_in_no_file() -> None:
    for path in FILES:
        assert "kind: Secret" not in path.read_text()
    for _, container in containers():
        for variable in container.get("env", []):
            if re.search("TOKEN|SECRET|ACCESS_KEY", variable["name"]):
                assert variable["valueFrom"]["secretKeyRef"]["name"] == "stress"
    for manifest in (named("Deployment", "jupyter"), named("Job", "locust-master")):
        sources = pod_of(manifest)["containers"][0]["envFrom"]
        assert [source["secretRef"]["name"] for source in sources] == ["stress"]


def test_a_worker_gets_the_token_and_no_key_of_the_bucket() -> None:
    (worker,) = pod_of(named("Job", "locust-workers"))["containers"]
    assert [variable["name"] for variable in worker["env"]] == ["JUPYTER_TOKEN"]
    assert "envFrom" not in worker


def configuration(tmp_path: Path) -> Config:
    written = tmp_path / "jupyter_server_config.py"
    written.write_text(named("ConfigMap", "jupyter")["data"]["jupyter_server_config.py"])
    config: Config = PyFileConfigLoader(written.name, path=str(tmp_path)).load_config()
    return config


def test_the_configuration_sets_traits_that_there_are(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    assert config.YDocExtension.ystore_class == "bookstore_y.S3YStore"
    for kind in (BookstoreSettings, S3YStore):
        traits = kind.class_traits(config=True)
        for name in config[kind.__name__]:
            assert name in traits
    assert BookstoreSettings(config=config).s3_bucket == "notebooks"


def test_a_pod_that_is_stopped_has_the_time_to_archive_what_is_pending(tmp_path: Path) -> None:
    settings = BookstoreSettings(config=configuration(tmp_path))
    grace = pod_of(named("Deployment", "jupyter"))["terminationGracePeriodSeconds"]
    assert grace >= settings.shutdown_timeout + 10


def test_the_buffer_is_on_a_volume_that_no_two_pods_share(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    deployment = named("Deployment", "jupyter")
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    mounts = pod_of(deployment)["containers"][0]["volumeMounts"]
    (data,) = (mount["mountPath"] for mount in mounts if mount["name"] == "data")
    assert config.S3YStore.db_path.startswith(f"{data}/")
    assert config.ServerApp.root_dir.startswith(f"{data}/")
    (claim,) = of_kind("PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize("name", ["locust-master", "locust-workers"])
def test_the_command_is_one_that_there_is(name: str) -> None:
    program, subcommand, *arguments = pod_of(named("Job", name))["containers"][0]["command"]
    assert (program, subcommand) == ("jupyter", "bookstore")
    assert parser().parse_args(arguments).command == "stress"


def test_the_master_waits_for_as_many_workers_as_there_are() -> None:
    arguments = pod_of(named("Job", "locust-master"))["containers"][0]["command"]
    workers = named("Job", "locust-workers")["spec"]
    assert f"--remote-workers={workers['parallelism']}" in arguments
    assert workers["parallelism"] == workers["completions"]


def test_the_same_bucket_is_named_to_server_and_master(tmp_path: Path) -> None:
    settings = configuration(tmp_path).BookstoreSettings
    master = pod_of(named("Job", "locust-master"))["containers"][0]
    told = {variable["name"]: variable["value"] for variable in master["env"]}
    assert told["JPYNB_S3_BUCKET"] == settings.s3_bucket
    assert told["JPYNB_S3_ENDPOINT_URL"] == settings.s3_endpoint_url
