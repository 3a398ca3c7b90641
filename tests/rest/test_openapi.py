"""The calls answer what docs/openapi.yaml says they do, whatever they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, settings
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks as openapi

from harness.jupyter.notebooks import sample_notebook

from .server import RestServer

DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.yaml"
THERE = "there/a file + 100%.ipynb"

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

schema = schemathesis.openapi.from_path(DESCRIPTION)
schema.config.generation.update(with_security_parameters=False)  # tests log in by themselves

bounded = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

CHECKS = [
    not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_headers_conformance,
    openapi.response_schema_conformance,
    openapi.negative_data_rejection,
    openapi.unsupported_method,
    openapi.ignored_auth,
]


@pytest.fixture(scope="module")
def version_ids(rest: RestServer) -> Iterator[list[str]]:
    """Two versions of the file that is there."""
    rest.save(THERE, sample_notebook())
    notebook = sample_notebook()
    notebook["cells"][0]["source"] = "# Ebb"
    yield [rest.archived(THERE, body).version_id for body in (sample_notebook(), notebook)]
    assert "Traceback" not in rest.process.log_text()


def test_the_description_is_valid() -> None:
    validate(yaml.safe_load(DESCRIPTION.read_text()))


def test_the_description_is_served_as_it_is(rest: RestServer) -> None:
    answer = rest.ask("GET", "openapi.yaml")
    assert answer.headers["content-type"].startswith("application/yaml")
    assert answer.text == DESCRIPTION.read_text()


@schema.parametrize()
@bounded
def test_any_request_gets_an_answer_of_the_description(
    case: schemathesis.Case[Any], rest: RestServer, version_ids: list[str]
) -> None:
    _send(case, rest)


@schema.include(path_regex="path").parametrize()
@bounded
def test_any_request_about_a_document_that_is_there(
    case: schemathesis.Case[Any], rest: RestServer, version_ids: list[str]
) -> None:
    case.path_parameters = {"path": THERE}
    for holder in (case.query, case.body):
        if isinstance(holder, dict):
            for name in ("version_id", "before"):
                if isinstance(holder.get(name), str) and holder[name]:
                    holder[name] = version_ids[0]
    _send(case, rest)


def _send(case: schemathesis.Case[Any], rest: RestServer) -> None:
    headers: dict[str, Any] = {"Authorization": f"token {rest.process.token}"}
    response = case.call(base_url=rest.process.url, headers=headers, allow_redirects=False)
    # A query may say more than is described: JupyterLab adds the time, against caches.
    query = case.query or {}
    more = any(name.startswith("x-schemathesis-unknown") for name in query)
    # Nor does the server see a parameter whose value leaves nothing of it in the address.
    said = parse_qs(urlsplit(response.request.url or "").query, keep_blank_values=True)
    unsaid = any(name not in said for name in query)
    excluded = [openapi.negative_data_rejection] if more or unsaid else []
    checks = [check for check in CHECKS if check not in excluded]
    case.validate_response(response, checks=checks)
