"""Whose rights a request has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from pkg.dashboard.access.people import IDLE_SECONDS, LOGIN_SECONDS, Auth, People
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.kube.credentials import Static

OWN = cast("Client", "the client of the dashboard")


@dataclass
class Bench:
    """People, a clock, and the configurations that clients were made of."""

    auth: Auth = Auth.TOKEN
    now: float = 1_000.0

    def __post_init__(self) -> None:
        self.made: list[ClientConfig] = []
        config = ClientConfig(
            "https://127.0.0.1", headers=(("Impersonate-User", "root"),), credentials=Static("Bearer own", b"c", b"k")
        )
        self.people = People(self.auth, config, OWN, self._make, lambda: self.now)

    def _make(self, config: ClientConfig) -> Client:
        self.made.append(config)
        return cast("Client", f"client {len(self.made)}")


def test_on_loopback_everybody_has_the_rights_of_whoever_started_it() -> None:
    bench = Bench(Auth.LOCAL)
    found = bench.people.find("Bearer other", "")
    assert found is not None
    assert found.client is OWN
    assert not bench.made


def test_without_a_token_a_login_is_needed() -> None:
    assert Bench().people.find("", "") is None
    assert Bench().people.find("Basic abc", "unknown") is None


def test_a_token_that_a_proxy_passes_on_has_its_own_rights_and_nothing_of_the_dashboard() -> None:
    bench = Bench()
    found = bench.people.find("Bearer abc", "")
    assert found is not None
    assert found.client is not OWN
    (config,) = bench.made
    assert config.credentials == Static("Bearer abc")
    assert config.headers == ()


def test_the_same_token_has_one_client() -> None:
    bench = Bench()
    first = bench.people.find("Bearer of-alice", "")
    assert bench.people.find("bearer of-alice", "") == first
    other = bench.people.find("Bearer xyz", "")
    assert other is not None
    assert first is not None
    assert other.key != first.key
    assert len(bench.made) == 2
    assert "of-alice" not in first.key


def test_what_cannot_be_a_token_is_nobody() -> None:
    assert Bench().people.find("Bearer a\r\nHost: x", "") is None


def logged_in(bench: Bench, token: str) -> str:
    """The cookie of a new login."""
    person = bench.people.of_token(token)
    assert person is not None
    return bench.people.login(token, person)


def test_a_login_stands_for_its_token_until_it_is_over() -> None:
    bench = Bench()
    cookie = logged_in(bench, "abc")
    person = bench.people.find("", cookie)
    assert person == bench.people.find("Bearer abc", "")
    bench.people.logout(cookie)
    assert bench.people.find("", cookie) is None


def test_a_login_ends_when_nobody_uses_it() -> None:
    bench = Bench()
    cookie = logged_in(bench, "abc")
    bench.now += IDLE_SECONDS - 1
    assert bench.people.find("", cookie) is not None
    bench.now += IDLE_SECONDS + 1
    assert bench.people.find("", cookie) is None


def test_a_login_ends_after_a_working_day() -> None:
    bench = Bench()
    cookie = logged_in(bench, "abc")
    end = bench.now + LOGIN_SECONDS
    while bench.now + IDLE_SECONDS / 2 < end:
        bench.now += IDLE_SECONDS / 2
        assert bench.people.find("", cookie) is not None
    bench.now = end + 1
    assert bench.people.find("", cookie) is None


def test_the_token_of_a_page_is_that_of_one_person_and_one_process() -> None:
    bench = Bench()
    one, other = bench.people.of_token("abc"), bench.people.of_token("xyz")
    assert one is not None
    assert other is not None
    csrf = bench.people.csrf(one)
    assert bench.people.is_csrf(one, csrf)
    assert not bench.people.is_csrf(other, csrf)
    assert not bench.people.is_csrf(one, "")
    again = Bench().people.of_token("abc")
    assert again is not None
    assert not Bench().people.is_csrf(again, csrf)


def test_the_token_of_a_login_is_forgotten_with_the_logout_unless_another_browser_has_it() -> None:
    bench = Bench()
    one, two = logged_in(bench, "abc"), logged_in(bench, "abc")
    bench.people.logout(one)
    assert (bench.people.logins, bench.people.tokens) == (1, 1)
    bench.people.logout(two)
    assert (bench.people.logins, bench.people.tokens) == (0, 0)


def test_logins_and_tokens_that_nobody_uses_are_forgotten_without_a_request_of_theirs() -> None:
    bench = Bench()
    logged_in(bench, "abc")
    bench.people.find("Bearer of-a-proxy", "")
    assert (bench.people.logins, bench.people.tokens) == (1, 2)
    bench.now += IDLE_SECONDS + 1
    bench.people.find("Bearer of-somebody-else", "")
    assert (bench.people.logins, bench.people.tokens) == (0, 1)
