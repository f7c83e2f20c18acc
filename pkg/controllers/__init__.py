"""The command `workflow-controller`: flags, the composition root, event handlers, the leadership term, health checks.

It connects the parts below it. What a Workflow does belongs to `workflow`, what any controller needs to `engine`.
"""
