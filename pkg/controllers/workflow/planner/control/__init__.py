"""The control step: retries, timeouts, the outcome, restarts, and which jobs are created and deleted.

It returns jobs to create and to delete as values. It never reads or writes the status document.
"""
