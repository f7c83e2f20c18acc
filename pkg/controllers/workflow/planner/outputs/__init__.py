"""Outputs of flows: read when a job succeeds, recorded with the verdict, and put in where variables name them.

Also `when`, which is judged over them. Pure, as the whole planner.
"""
