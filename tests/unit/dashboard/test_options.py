"""The flags of workflow-dashboard."""

from __future__ import annotations

import click
import pytest

from pkg.dashboard.options import options_of


def test_by_default_only_this_machine_reaches_it_and_it_changes_nothing() -> None:
    options = options_of()
    assert (options.bind_address, options.auth, options.allow_actions, options.scope) == (
        "127.0.0.1",
        "local",
        False,
        None,
    )


def test_one_person_is_bounded_unless_the_bound_is_taken_away() -> None:
    assert options_of().requests_per_second == 20.0
    assert options_of("--requests-per-second=0").requests_per_second == 0.0


FAULTS = {
    "requests less than none": (["--requests-per-second=-1"], "not in the range"),
    "others may not have your rights": (["--bind-address="], "--auth=token"),
    "nor on one address": (["--bind-address=10.0.0.7"], "everybody who reaches it would have your rights"),
    "a certificate without a key": (["--tls-cert-file=a"], "need each other"),
    "a host with a port": (["--allowed-host=a.example:80"], "without scheme and port"),
    "a prefix without a slash": (["--base-path=flows"], "it must begin with /"),
    "a prefix that is a way up": (["--base-path=/a/.."], "such as /workflows"),
    "a prefix that means something in HTML": (['--base-path=/a"b'], "such as /workflows"),
    "metrics nowhere": (["--metrics-bind-address=here"], "HOST:PORT"),
    "many hosts at once": (["--allowed-host=*.a.example"], "must be one name or address"),
    "a prefix that would hide what the page calls": (["--base-path=/api"], "give another one"),
    "a host that is a URL": (["--allowed-host=https://a.example"], "without scheme and port"),
}


@pytest.mark.parametrize(("arguments", "said"), FAULTS.values(), ids=FAULTS.keys())
def test_faults(arguments: list[str], said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        options_of(*arguments)


def test_with_tokens_it_may_be_reached_by_all() -> None:
    options = options_of("--bind-address=0.0.0.0", "--auth=token", "--allowed-host=Flows.Example.org.")
    assert options.allowed_host == ("flows.example.org",)


@pytest.mark.parametrize("given", ["[FD00::1]", "fd00::1"], ids=["in brackets", "without brackets"])
def test_an_address_of_ipv6_is_one_of_the_hosts(given: str) -> None:
    assert options_of(f"--allowed-host={given}").allowed_host == ("fd00::1",)


def test_a_prefix_ends_without_a_slash() -> None:
    assert options_of("--base-path=/team/flows/").base_path == "/team/flows"
    assert options_of("--base-path=/").base_path == ""
