"""A dry run of a workflow: the planner of the controller itself, with simulated jobs in place of a cluster.

Pure: nothing is read but the arguments, and time is simulated.
"""
