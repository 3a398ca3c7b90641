"""The configuration and the commands of the manifests, together, on this machine's loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from bookstore_y.local.waiting import eventually
from bookstore_y.stress.address import Address
from bookstore_y.stress.result import read
from bookstore_y.stress.server import get
from harness.servers import S3Server, free_port

KUBERNETES = Path(__file__).parents[2] / "kubernetes"
TOKEN = "together"
WORKERS = 2
WITHIN = 180.0


def manifest(file: str, kind: str, name: str) -> dict[str, Any]:
    for found in yaml.safe_load_all((KUBERNETES / file).read_text()):
        if (found["kind"], found["metadata"]["name"]) == (kind, name):
            manifest: dict[str, Any] = found
            return manifest
    raise LookupError(name)


def replaced(text: str, by: dict[str, str]) -> str:
    for old, new in by.items():
        text = text.replace(old, new)
    return text


@pytest.mark.e2e
@pytest.mark.slow
async def test_server_master_and_workers_find_each_other_and_lose_nothing(
    tmp_path: Path, moto_server: S3Server
) -> None:
    server = Address(f"http://127.0.0.1:{free_port()}", TOKEN)
    here = {
        "http://jupyter:8888": server.url,
        "http://s3:4566": moto_server.endpoint_url,
        "= 8888": f"= {server.url.rpartition(':')[2]}",
        "locust:5557": (master := f"127.0.0.1:{free_port()}"),
        "0.0.0.0:5557": master,
        "0.0.0.0": "127.0.0.1",
        "/data/": f"{tmp_path}/data/",
        "/report": str(tmp_path / "report"),
        "=200": "=8",
        "=40": "=2",
        "=600": "=10",
        "-workers=4": f"-workers={WORKERS}",
    }
    for folder in ("etc", "data/notebooks", "report", "none"):
        (tmp_path / folder).mkdir(parents=True)
    config = manifest("server.yaml", "ConfigMap", "jupyter")["data"]["jupyter_server_config.py"]
    (tmp_path / "etc" / "jupyter_server_config.py").write_text(replaced(config, here))
    secret = {
        "JUPYTER_TOKEN": TOKEN,
        "JPYNB_S3_ACCESS_KEY_ID": moto_server.access_key,
        "JPYNB_S3_SECRET_ACCESS_KEY": moto_server.secret_key,
    }
    plain = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_CONFIG_DIR": str(tmp_path / "none"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data" / "jupyter"),
    }

    def job(name: str) -> tuple[list[str], dict[str, str]]:
        spec = manifest("load.yaml", "Job", name)["spec"]["template"]["spec"]["containers"][0]
        command = [replaced(word, here) for word in spec["command"] if word != "--web"]
        told = {each["name"]: replaced(each.get("value", TOKEN), here) for each in spec["env"]}
        return command, plain | (secret if "envFrom" in spec else {}) | told

    with ExitStack() as stack:

        def start(command: list[str], env: dict[str, str], log: str) -> subprocess.Popen[bytes]:
            output = stack.enter_context((tmp_path / log).open("wb"))
            process = subprocess.Popen(command, env=env, stdout=output, stderr=output)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        jupyter = start(
            ["jupyter", "server", "--allow-root"],
            plain | secret | {"JUPYTER_CONFIG_DIR": str(tmp_path / "etc")},
            "server.log",
        )
        await eventually(lambda: get(server, "/api/status"), within=WITHIN, what="the server")
        workers = [start(*job("locust-workers"), f"worker-{n}.log") for n in range(WORKERS)]
        load = start(*job("locust-master"), "master.log")
        await eventually(lambda: load.poll() is not None, within=WITHIN, what="the master's end")
        said = (tmp_path / "master.log").read_text()
        assert load.returncode == 0, said
        await eventually(
            lambda: None not in [worker.poll() for worker in workers],
            within=30,
            what="the workers' end",
        )
        jupyter.terminate()
        grace = manifest("server.yaml", "Deployment", "jupyter")["spec"]["template"]["spec"]
        seconds = grace["terminationGracePeriodSeconds"]
        await eventually(
            lambda: jupyter.poll() is not None, within=seconds, what="the server's end"
        )
    (result,) = read(tmp_path / "report" / "results.json")
    assert result.verdict.passed
    assert result.verdict.edits > 0
    assert (tmp_path / "report" / "index.html").exists()
