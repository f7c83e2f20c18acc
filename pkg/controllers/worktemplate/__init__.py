"""The WorkTemplate controller: it writes usedBy in the status of templates, and nothing else.

It may use the engine, the API types and the client. What templates mean for a workflow belongs to
pkg/controllers/workflow.
"""
