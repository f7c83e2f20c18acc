"""The pure core: a snapshot of one Workflow in, a plan out.

Nothing in this package does I/O, logs, reads a clock, uses random numbers or starts threads; import-linter checks that.
Time is a field of the snapshot. What reads caches, writes to the API server or probes pods is one directory above.
"""
