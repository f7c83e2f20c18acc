"""The certificate of the webhook: where it comes from, and how the API server comes to trust it.

Either this package makes it, with a CA of its own, and keeps it in a Secret (`keeper`), or somebody else puts it into
files (`pkg.serving.certificate_files`). Both are threads that look again and again (`pkg.serving.certificate_source`).
"""
