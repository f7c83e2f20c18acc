"""The CronWorkflow controller: it makes a Workflow at each scheduled time, and removes old ones.

`planner/` is pure: what is to be done follows from a snapshot and a time. The other files read caches and call the API.
It knows nothing of how a Workflow is run.
"""
