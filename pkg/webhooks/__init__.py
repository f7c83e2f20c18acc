"""The admission webhook: judges Workflows and WorkTemplates before the API server stores them, and writes out defaults.

`review` and `admit` are pure: bytes and frozen values in, frozen values out.
"""
