"""What is secret is used, and not told."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from traitlets.config import Config

from bookstore_y import BookstoreSettings
from bookstore_y.secret import SECRETS, hide

from .e2e.disk import Disk
from .e2e.jupyter_process import JupyterProcess
from .e2e.stores import s3_store
from .servers import S3Server


@pytest.mark.parametrize("name", SECRETS)
def test_a_configuration_does_not_tell_it_nor_its_copies(name: str) -> None:
    config = Config({"BookstoreSettings": {name: "SEKRET123"}})
    hide(config)
    merged = Config()
    merged.merge(copy.deepcopy(config))
    for shown in (config, copy.deepcopy(config), config.copy(), merged):
        assert "SEKRET123" not in f"{shown} {shown!r}"
    assert BookstoreSettings(config=merged).trait_values()[name] == "SEKRET123"


@pytest.mark.parametrize("name", SECRETS)
def test_settings_do_not_tell_it(name: str) -> None:
    settings = BookstoreSettings(s3_bucket="b", **{name: "SEKRET123"})
    for shown in (settings, settings.trait_values(), settings.identity()):
        assert "SEKRET123" not in repr(shown)
    assert settings.for_bucket("c").trait_values()[name] == "SEKRET123"


def test_a_configuration_without_settings_stays_without() -> None:
    config = Config()
    hide(config)
    assert config == {}


@pytest.mark.e2e
@pytest.mark.slow
async def test_a_server_at_debug_logs_its_configuration_without_it(
    tmp_path: Path, moto_server: S3Server, moto_bucket: str
) -> None:
    config = s3_store(moto_server, moto_bucket)
    secrets = {name: f"SEKRET-{name}" for name in SECRETS}
    config["BookstoreSettings"].update(secrets)
    config["Application"] = {"log_level": "DEBUG"}
    disk = Disk(tmp_path)
    # What an extension's own file says changes the configuration.
    own = Path(disk.environment()["JUPYTER_CONFIG_DIR"]) / "jupyter_bookstore_y_config.json"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(json.dumps({"BookstoreSettings": {"s3_session_token": "SEKRET too"}}))
    async with JupyterProcess(disk, config) as server:
        log = server.log_text()
    assert "Config changed" in log
    assert "'s3_secret_access_key': '***'" in log
    assert "SEKRET" not in log
