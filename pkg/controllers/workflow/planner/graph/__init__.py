"""The compiled DAG of a Workflow: from spec and templates to numbered flows with predicates.

It depends on the spec and the templates alone. The state of tasks is in `progress` and is not known here.
"""
