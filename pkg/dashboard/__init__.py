"""The live page: Workflows as lists, and one Workflow as a graph that moves. It reads the API server like kubectl does.

`model` is pure: states of Workflows, and the frames between them. `live` has one watch for all who look at the same
thing. `access` says who may see what. `site` is the web application.
"""
