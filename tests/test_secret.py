"""What is secret is used, and not told."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator

import pytest
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from bookstore_y import BookstoreSettings
from bookstore_y.jupyter import _jupyter_server_extension_points
from bookstore_y.jupyter.extension import BookstoreExtension
from bookstore_y.secret import SECRETS, hide


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


@pytest.fixture
def server(caplog: pytest.LogCaptureFixture) -> Iterator[ServerApp]:
    """A server that has read a configuration with secrets, and not yet looked for extensions."""
    ServerApp.clear_instance()
    server = ServerApp.instance()
    server.update_config(
        Config({"BookstoreSettings": {name: f"SEKRET-{name}" for name in SECRETS}})
    )
    caplog.set_level("DEBUG", "test")
    server.log = logging.getLogger("test")
    yield server
    ServerApp.clear_instance()


def test_a_server_logs_its_configuration_without_it(
    server: ServerApp, caplog: pytest.LogCaptureFixture
) -> None:
    _jupyter_server_extension_points()
    server.config = Config({**server.config, "Another": Config({"option": 1})})
    assert "Config changed" in caplog.text
    assert "'s3_secret_access_key': '***'" in caplog.text
    assert "SEKRET" not in caplog.text


def test_nor_does_what_the_extensions_own_file_says(caplog: pytest.LogCaptureFixture) -> None:
    extension = BookstoreExtension()
    caplog.set_level("DEBUG", "test")
    extension.log = logging.getLogger("test")
    extension.update_config(Config({"BookstoreSettings": {"s3_session_token": "SEKRET"}}))
    extension.config = Config({**extension.config, "Another": Config({"option": 1})})
    assert "'s3_session_token': '***'" in caplog.text
    assert "SEKRET" not in caplog.text
