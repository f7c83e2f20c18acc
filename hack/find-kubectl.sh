#!/usr/bin/env bash
# Prints the path of kubectl: from PATH, else the one that was built with the local cluster. Says on standard error which
# cluster it will use, and ends with 1 and a hint if there is none. Usage: find-kubectl.sh PYTHON
set -eu -o pipefail

kubectl=$(command -v kubectl) || kubectl=$("$1" -m hack.cluster binaries)/kubectl
from=${KUBECONFIG:-}
where=${from:+KUBECONFIG=$from}
where=${where:-the default kubeconfig, ~/.kube/config}
hint="start a local cluster with 'make cluster-up', or set KUBECONFIG to the kubeconfig of another one"

server=$("$kubectl" config view --minify --output 'jsonpath={.clusters[0].cluster.server}' 2>/dev/null) || server=
if [ -z "$server" ]; then
  echo "make: no cluster to use: $where names none; $hint" >&2
  exit 1
fi
if ! said=$("$kubectl" version --request-timeout=10s 2>&1 >/dev/null); then
  echo "make: the cluster $server ($where) does not answer: $(tail -n 1 <<<"$said"); $hint" >&2
  exit 1
fi
echo "using the cluster $server ($where)" >&2
echo "$kubectl"
