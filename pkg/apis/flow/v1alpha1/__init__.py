"""Version v1alpha1: types, phases, reasons, labels and defaults, and the rules for validation, variables and patches.

Pure functions of a manifest: no cluster state, no rendered jobs, no knowledge of kinds of jobs (see `pkg.workloads`).
"""
