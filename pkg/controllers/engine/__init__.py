"""The generic parts of a controller: reflector, store, informers, work queues, shards, workers, elector.

They know no Workflow, no job and no template: those belong to `pkg.controllers.workflow`. The files that decide (lease,
backoff, relist) are pure; they take the time as an argument.
"""
