#!/usr/bin/env bash
# Removes Work-Flow from a cluster: first every CronWorkflow, then every Workflow, while the controller runs and deletes its jobs, then everything
# that installer/ has put there. What people made themselves stays. Usage: uninstall.sh KUBECTL
set -eu -o pipefail

kubectl=$1
cd "$(dirname "$0")/.."

if "$kubectl" get crd cronworkflows.flow.workflow.sh >/dev/null 2>&1; then
  "$kubectl" delete cronworkflows.flow.workflow.sh --all --all-namespaces --timeout=1m # else they make new Workflows
fi
if "$kubectl" get crd workflows.flow.workflow.sh >/dev/null 2>&1; then
  if ! "$kubectl" delete workflows.flow.workflow.sh --all --all-namespaces --timeout=5m; then
    echo "make: some Workflows are still there after 5 minutes, so nothing else has been removed; look at them with" \
      "'kubectl get wkf -A -o yaml': what holds them up is in metadata.finalizers" >&2
    exit 1
  fi
fi
# What installer/monitoring, installer/network and installer/logs have goes with the namespace.
"$kubectl" delete --ignore-not-found -f installer/controller/ -f installer/rbac/
# Kubernetes writes this role once more when a family of kinds goes; it may come back after its deletion.
"$kubectl" delete --ignore-not-found clusterrole workflow-controller-jobs
# Its name before each family of kinds had a role of its own.
"$kubectl" delete --ignore-not-found clusterrole workflow-controller-known-kinds
