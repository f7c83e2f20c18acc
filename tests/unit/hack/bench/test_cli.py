"""The benchmark of the command line leaves no verb out."""

from __future__ import annotations

from hack.bench.cli import MAX_SECONDS, MAX_START, calls
from pkg.cli.app import SECTIONS


def test_every_verb_is_measured() -> None:
    verbs = {name for section in SECTIONS.values() for name in section}
    assert {words[0] for words, _ in calls()} >= verbs
    assert {words[1] for words, _ in calls() if words[0] == "cron"} == {"list", "trigger", "suspend", "resume"}


def test_only_what_asks_no_cluster_has_the_bound_of_the_start() -> None:
    at_start = [words for words, bound in calls() if bound == MAX_START]
    assert all({"--help", "--client", "completion"} & set(words) for words in at_start)
    assert {bound for _, bound in calls()} == {MAX_START, MAX_SECONDS}
