"""The dependency step: three-valued predicates, and which tasks they release, skip or fail.

It changes Waiting tasks of a draft and nothing else. Jobs and retries belong to `status` and `control`.
"""
