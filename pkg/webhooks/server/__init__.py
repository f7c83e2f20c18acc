"""The ASGI application of the webhook. It knows AdmissionReviews and handlers, and nothing of what they judge."""
