"""Argo Workflows: Workflow, WorkflowTemplate, ClusterWorkflowTemplate and CronWorkflow."""
