"""Tokens in files, and credentials that a plugin issues: when they are renewed, and who waits for that."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pkg.kube.credentials import ConfigError, Issued, Plugin, TokenFile
from tests.unit.kube.waiting import wait_for


def test_a_token_file_is_read_again_and_survives_a_bad_moment(tmp_path: Path) -> None:
    now = [0.0]
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenFile(file, clock=lambda: now[0])
    assert source.authorization() == "Bearer one"
    file.write_text("two")
    assert source.authorization() == "Bearer one"
    now[0] = 31
    assert source.authorization() == "Bearer two"
    file.unlink()
    now[0] = 62
    assert source.authorization() == "Bearer two"
    file.write_text("three")
    source.invalidate()
    assert source.authorization() == "Bearer three"


@pytest.mark.parametrize(
    "moment", ["", "   \n", "two\nlines", "\u738b"], ids=["empty", "blank", "two lines", "no ASCII"]
)
def test_a_token_file_that_is_being_written_is_read_again_a_second_later(tmp_path: Path, moment: str) -> None:
    now = [0.0]
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenFile(file, clock=lambda: now[0])
    source.authorization()
    now[0] = 30
    file.write_text(moment)
    assert source.authorization() == "Bearer one"
    file.write_text("two")
    now[0] = 31
    assert source.authorization() == "Bearer two"


def test_a_token_file_without_a_token_is_an_error_at_start(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("")
    with pytest.raises(ConfigError, match=f"{file} is empty"):
        TokenFile(file).authorization()


def test_a_plugin_is_asked_again_before_expiry_and_may_fail_then() -> None:
    now, failing, runs = [0.0], [False], [0]

    def issue() -> Issued:
        runs[0] += 1
        if failing[0]:
            raise ConfigError("no")
        return Issued(f"Bearer {runs[0]}", None, now[0] + 600)

    plugin = Plugin(issue, clock=lambda: now[0])
    assert plugin.authorization() == "Bearer 1"
    now[0] = 530
    assert plugin.authorization() == "Bearer 1"
    now[0] = 545
    wait_for(lambda: plugin.authorization() == "Bearer 2")
    failing[0] = True
    now[0] = 1100
    wait_for(lambda: plugin.authorization() == "Bearer 2" and runs[0] == 3)
    assert [plugin.authorization() for _ in range(3)] == ["Bearer 2"] * 3
    assert runs[0] == 3, "a failing plugin is not run for every request"


class Issuer:
    """A plugin whose runs the test lets end. `lifetime` is in seconds of its clock."""

    def __init__(self, lifetime: float | None = None, **options: float) -> None:
        self.now = 0.0
        self.lifetime = lifetime
        self.error: Exception | None = None
        self.threads: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.plugin = Plugin(self._issue, lambda: self.now, **options)

    @property
    def runs(self) -> int:
        return len(self.threads)

    def _issue(self) -> Issued:
        self.threads.append(threading.current_thread().name)
        number = self.runs
        self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        return Issued(f"Bearer {number}", None, None if self.lifetime is None else self.now + self.lifetime)

    def hang(self) -> None:
        self.go_on.clear()


def test_nobody_waits_for_a_renewal() -> None:
    issuer = Issuer(lifetime=600)
    issuer.plugin.authorization()
    issuer.hang()
    for issuer.now in (540.0, 600.0, 700.0):
        assert [issuer.plugin.authorization(), issuer.plugin.certificate()] == ["Bearer 1", None]
    assert issuer.runs == 2
    issuer.go_on.set()
    wait_for(lambda: issuer.plugin.authorization() == "Bearer 2")
    assert set(issuer.threads) == {"credentials"}


def test_credentials_that_live_shortly_are_renewed_half_way() -> None:
    issuer = Issuer(lifetime=20)
    issuer.plugin.authorization()
    issuer.now = 9.9
    assert (issuer.plugin.authorization(), issuer.runs) == ("Bearer 1", 1)
    issuer.now = 10.0
    wait_for(lambda: issuer.plugin.authorization() == "Bearer 2")


def test_credentials_that_are_issued_expired_do_not_run_the_plugin_without_end() -> None:
    issuer = Issuer(lifetime=-5)
    assert [issuer.plugin.authorization() for _ in range(20)] == ["Bearer 1"] * 20
    assert issuer.runs == 1


def test_whose_request_was_refused_waits_a_moment() -> None:
    issuer = Issuer(patience=5.0)
    issuer.plugin.authorization()
    issuer.plugin.invalidate()
    assert issuer.plugin.authorization() == "Bearer 2"


def test_whose_request_was_refused_does_not_wait_for_a_plugin_that_hangs() -> None:
    issuer = Issuer(patience=0.01)
    issuer.plugin.authorization()
    issuer.hang()
    issuer.plugin.invalidate()
    assert issuer.plugin.authorization() == "Bearer 1"
    issuer.go_on.set()
    wait_for(lambda: issuer.plugin.authorization() == "Bearer 2")


def test_a_plugin_whose_credentials_are_refused_again_and_again_is_not_run_for_every_request() -> None:
    issuer = Issuer(patience=5.0)
    issuer.plugin.authorization()
    for _ in range(20):
        issuer.plugin.invalidate()
        issuer.plugin.authorization()
    assert issuer.runs == 2
    issuer.now = 6.0
    issuer.plugin.authorization()
    wait_for(lambda: issuer.runs == 3)


def test_many_threads_share_one_run() -> None:
    issuer = Issuer()
    issuer.hang()
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(issuer.plugin.authorization())) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: issuer.runs == 1)
    issuer.go_on.set()
    for thread in threads:
        thread.join(5)
    assert (got, issuer.runs) == (["Bearer 1"] * 8, 1)


def test_a_first_run_that_hangs_is_an_error() -> None:
    issuer = Issuer(timeout=0.02)
    issuer.hang()
    with pytest.raises(ConfigError, match=r"no credentials were issued within 0\.02 s"):
        issuer.plugin.authorization()
    issuer.go_on.set()


def test_runs_that_hang_do_not_pile_up_and_are_of_no_account_when_they_end_late() -> None:
    issuer = Issuer(timeout=0.0, patience=0.0)
    issuer.hang()
    for _ in range(10):
        with pytest.raises(ConfigError):
            issuer.plugin.authorization()
    assert issuer.runs == 3
    issuer.go_on.set()
    wait_for(lambda: not issuer.plugin._runs)


@pytest.mark.parametrize("error", [ConfigError("no"), RuntimeError("odd"), RecursionError()], ids=repr)
def test_a_plugin_that_fails_leaves_the_previous_credentials_in_use_and_is_run_again(error: Exception) -> None:
    issuer = Issuer(lifetime=600)
    issuer.plugin.authorization()
    issuer.now, issuer.error = 550.0, error
    issuer.plugin.authorization()
    wait_for(lambda: issuer.runs == 2 and not issuer.plugin._runs)
    assert issuer.plugin.authorization() == "Bearer 1"
    issuer.now, issuer.error = 561.0, None
    wait_for(lambda: issuer.plugin.authorization() == "Bearer 3")


def test_a_first_run_that_fails_is_an_error_with_its_message() -> None:
    issuer = Issuer()
    issuer.error = ConfigError("run it by hand to see why")
    for _ in range(2):
        with pytest.raises(ConfigError, match="by hand"):
            issuer.plugin.authorization()
    assert issuer.runs == 1


def test_a_clock_that_is_set_back_keeps_no_refused_credentials() -> None:
    now = [10_000.0]
    runs = iter(range(1, 10))
    plugin = Plugin(lambda: Issued(header=f"Bearer {next(runs)}"), lambda: now[0])
    assert plugin.authorization() == "Bearer 1"
    now[0] -= 3600
    plugin.invalidate()
    wait_for(lambda: plugin.authorization() == "Bearer 2")


def test_a_clock_that_is_set_back_lengthens_no_pause_after_a_failed_run() -> None:
    now = [10_000.0]
    results: list[Issued | ConfigError] = [ConfigError("no network yet"), Issued(header="Bearer 1")]
    outcomes = iter(results)

    def issue() -> Issued:
        outcome = next(outcomes)
        if isinstance(outcome, ConfigError):
            raise outcome
        return outcome

    plugin = Plugin(issue, lambda: now[0])
    with pytest.raises(ConfigError, match="no network yet"):
        plugin.authorization()
    now[0] -= 3600
    assert plugin.authorization() == "Bearer 1"
