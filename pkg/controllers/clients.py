"""The API clients of one process: one per purpose, so that none waits for another's connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pkg.controllers.engine.access_reviews import THREADS
from pkg.controllers.engine.claim import Claim
from pkg.controllers.engine.elector import Elector
from pkg.controllers.engine.leadership import Leadership, steady_clock
from pkg.controllers.engine.lease_watch import LeaseWatch
from pkg.controllers.engine.unelected import SUFFIX, AlwaysLeader, Unelected
from pkg.controllers.options import Options
from pkg.kube.client import Client
from pkg.kube.config import ClientConfig
from pkg.telemetry.metrics import Metrics
from pkg.version import VERSION

# A namespace has at most a quarter of them, and 16 calls at once are what one busy namespace needs.
WRITE_THREADS = 64
_AGENT = f"workflow-controller/{VERSION}"


@dataclass(frozen=True, slots=True)
class Clients:
    """`main` reads and writes what workflows need; `events` neither waits for writes nor delays them; `access` asks
    for rights."""

    main: Client
    events: Client
    access: Client

    def guard(self, may_write: Callable[[], bool]) -> None:
        """None of them writes while this returns False."""
        for client in (self.main, self.events, self.access):
            client.guard(may_write)


def make_clients(options: Options, config: ClientConfig, metrics: Metrics) -> Clients:
    """The clients of the workers; the elector has its own."""
    main = Client(
        config,
        user_agent=_AGENT,
        pool_size=options.workers + WRITE_THREADS + 8,
        qps=options.kube_api_qps,
        burst=options.kube_api_burst,
    )
    main.add_observer(metrics.on_request)
    access = Client(config, user_agent=f"{_AGENT} (access)", pool_size=THREADS, timeout=5.0)
    access.add_observer(metrics.on_request)
    return Clients(main, Client(config, user_agent=f"{_AGENT} (events)", pool_size=2, timeout=5.0), access)


def make_leadership(
    options: Options,
    config: ClientConfig,
    metrics: Metrics,
    on_started: Callable[[], None],
    on_stopped: Callable[[], None],
) -> Leadership:
    """The elector with a client of its own. With `--leader-elect=false` this process leads from start to stop."""
    lease = options.lease
    if not options.leader_elect and not options.exclusive:
        return AlwaysLeader(on_started, on_stopped, on_leading=metrics.on_leading)
    if not options.leader_elect:
        lease = msgspec.structs.replace(lease, name=lease.name + SUFFIX)
    # A call must end early enough that the renewal can be tried once more before the deadline.
    timeout = max(0.5, min(lease.renew_deadline / 2, lease.renew_deadline - lease.retry_period))
    client = Client(config, user_agent=f"{_AGENT} (leader-election)", pool_size=1, timeout=timeout)
    claim = Claim(client, lease, options.namespace, steady_clock) if options.exclusive else None
    if not options.leader_elect:
        return Unelected(client, lease, on_started, on_stopped, on_leading=metrics.on_leading, claim=claim)
    changes = LeaseWatch(client, lease)
    return Elector(client, lease, on_started, on_stopped, on_leading=metrics.on_leading, claim=claim, changes=changes)
