"""Tekton: Pipeline, PipelineRun, Task and ClusterTask."""
