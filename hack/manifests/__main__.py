"""`python -m hack.manifests` checks installer/ with helm, kubeconform, kube-score and promtool, each built once.

`python -m hack.manifests chart` checks only that the Helm chart makes what the plain manifests are. The exit code is 1
if anything is wrong.
"""

from __future__ import annotations

import sys

from hack.cluster import binaries, exit_on_sigterm
from hack.manifests import checks


def main(arguments: list[str]) -> int:
    """Runs the checks and prints what they found."""
    if arguments not in ([], ["chart"]):
        print("usage: python -m hack.manifests [chart]", file=sys.stderr)
        return 2
    found = _report("the Helm chart makes the plain manifests", checks.chart_makes_the_manifests())
    if not arguments:
        kubectl = binaries.ensure() / "kubectl"
        found += _report("the kustomizations do", checks.kustomizations_take_the_same(kubectl))
        found += _report("kube-score", checks.objects_are_sound())
        found += _report("promtool: the alerts", checks.alerts_fire())
        found += _report("kubeconform: Kubernetes 1.30", checks.objects_are_valid_for_the_oldest_kubernetes())
        with exit_on_sigterm(), checks.served() as cluster:
            found += _report("kubeconform: schemas of the API server", checks.objects_are_valid(cluster))
    return 1 if found else 0


def _report(what: str, said: list[str]) -> int:
    print(f"{what}: {'ok' if not said else 'wrong'}", flush=True)
    for text in said:
        print(text, file=sys.stderr, flush=True)
    return len(said)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
