"""The graph of a workflow as a picture: which boxes and arrows it has, where they are, and how each format writes it.

Pure: the layout and the formats need no other program. `kubectl workflow graph` and other views share it.
"""
