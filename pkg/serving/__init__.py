"""HTTP and HTTPS for an ASGI application on uvicorn's protocol, with limits that no client can hold it up with.

The webhook and the dashboard run on it. It knows nothing of what the application answers.
"""
