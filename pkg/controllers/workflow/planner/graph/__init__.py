"""The compiled DAG of a Workflow: from spec and templates to numbered flows with predicates.

It depends on the spec alone. The state of tasks lives in `progress`, and is not known here.
"""
