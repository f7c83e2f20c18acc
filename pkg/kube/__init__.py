"""The client of the Kubernetes API server: configuration, credentials, connections, calls, errors, Event recording.

It knows the API server's protocol and the types of `pkg.apis.meta`; it knows no Workflow, no informer and no metrics.
This is the only package that may import the `kubernetes` library, and the only one that opens connections to the API
server.
"""
