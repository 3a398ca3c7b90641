"""Settings: where they come from, and that nothing secret in them is shown."""

from __future__ import annotations

import pytest

from bookstore_y import BookstoreSettings
from bookstore_y.errors import ConfigurationError
from bookstore_y.s3.bucket import Bucket


def test_the_environment_fills_what_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPYNB_S3_BUCKET", "from-the-environment")
    assert BookstoreSettings().require_bucket() == "from-the-environment"
    assert BookstoreSettings(s3_bucket="mine").require_bucket() == "mine"


def test_without_a_bucket_the_message_says_where_to_set_it() -> None:
    with pytest.raises(ConfigurationError, match="s3_bucket"):
        BookstoreSettings().require_bucket()


@pytest.mark.parametrize("half", ["s3_access_key_id", "s3_secret_access_key"])
def test_half_a_key_pair_is_refused(half: str) -> None:
    with pytest.raises(ConfigurationError, match="both"):
        BookstoreSettings(s3_bucket="b", **{half: "x"}).require_bucket()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("", "AWS"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        (
            "https://user:hunter2@s3.example.org:444/store?token=hunter2",
            "https://s3.example.org:444/store",
        ),
    ],
)
def test_an_endpoint_is_shown_without_what_is_secret_in_it(url: str, shown: str) -> None:
    settings = BookstoreSettings(s3_bucket="b", s3_endpoint_url=url)
    assert settings.endpoint == shown
    assert shown in Bucket(settings).where
    assert "hunter2" not in f"{settings!r} {Bucket(settings).where}"


def test_an_endpoint_of_the_environment_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = BookstoreSettings(s3_bucket="b")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://everything.example")
    assert settings.endpoint == "http://everything.example"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example")
    assert settings.endpoint == "http://s3.example"
    settings.s3_endpoint_url = "http://chosen.example"
    assert settings.endpoint == "http://chosen.example"


def test_credentials_in_the_endpoint_are_refused_without_showing_them() -> None:
    settings = BookstoreSettings(s3_bucket="b", s3_endpoint_url="http://user:hunter2@localhost")
    with pytest.raises(ConfigurationError) as refused:
        settings.require_bucket()
    assert "hunter2" not in str(refused.value)
    assert "s3_access_key_id" in str(refused.value)
