"""The Workflow controller. planner/ is its pure core; the files beside it are the edge that does I/O.

The edge builds the snapshot (observer, ledger, pod_finder, kinds, pending), executes the plan (executor, prober), and
keeps what saves work between reconciles (memory, rule_book). Rules about what a workflow does next belong in planner/.
"""
