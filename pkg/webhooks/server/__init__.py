"""HTTPS for the API server: an ASGI application on uvicorn's protocol, with limits that no client can hold it up with.

It knows AdmissionReviews and handlers, and nothing of what they judge.
"""
