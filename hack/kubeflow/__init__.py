"""Kubeflow's real training operator, built from its Go module, as one process beside the local cluster."""

from hack.kubeflow.binary import ensure
from hack.kubeflow.operator import TrainingOperator

__all__ = ["TrainingOperator", "ensure"]
