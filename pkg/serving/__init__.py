"""HTTP and HTTPS for an ASGI application on uvicorn's protocol, with limits that no client can hold it up with.

The webhook and the dashboard run on it. A thread looks for a newer certificate again and again (`certificate_source`).
It knows nothing of what the application answers.
"""
