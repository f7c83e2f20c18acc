"""The API group flow.workflow.sh, with a package for each version that is served.

Only versions live here. What all kinds of Kubernetes share is in `pkg.apis.meta`.
"""
