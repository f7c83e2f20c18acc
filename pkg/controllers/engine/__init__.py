"""The generic parts of a controller: reflector, store, informers, workqueues, shards, workers, elector.

They know no Workflow, no job and no template: those belong to `pkg.controllers.workflow`. The files lease, backoff and
relist are pure: the time is an argument.
"""
