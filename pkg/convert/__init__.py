"""Manifests of Argo Workflows, Volcano JobFlow and Tekton as our Workflows and WorkTemplates. Pure.

Every field of the input is accounted for: it is converted, it is named as lost, or it is known to mean nothing here.
"""
