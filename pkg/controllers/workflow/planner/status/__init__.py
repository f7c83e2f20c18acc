"""The status step: observed jobs become states of tasks, and the states become the status of the Workflow.

The reverse, from a recorded status to progress, lives here too. Nothing here decides what is created or deleted.
"""
