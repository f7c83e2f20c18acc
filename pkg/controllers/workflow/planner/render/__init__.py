"""Makes the object of one attempt from template, parameters, variables and patch, with its name, labels and owner.

Pure: the same input gives the same object. `control` decides when a job is created.
"""
