"""The page for those who have to log in again while their tabs are open."""

from __future__ import annotations

import httpx

from .server import RestServer

ADDRESS = "/bookstore/logged-in"


def test_who_is_logged_in_is_sent_back_to_their_tabs(rest: RestServer) -> None:
    headers = {"Authorization": f"token {rest.process.token}"}
    answer = httpx.get(rest.process.url + ADDRESS, headers=headers, trust_env=False)
    assert answer.status_code == httpx.codes.OK
    assert "You are logged in" in answer.text
    assert "script-src 'nonce-" in answer.headers["Content-Security-Policy"]


def test_who_is_not_logged_in_comes_back_to_it_by_way_of_the_login(rest: RestServer) -> None:
    answer = httpx.get(rest.process.url + ADDRESS, trust_env=False)
    assert answer.status_code == httpx.codes.FOUND
    assert answer.headers["Location"] == "/login?next=%2Fbookstore%2Flogged-in"
