"""Makes the object of one attempt from template, parameters, variables and patch, with its name, labels and owner.

Pure: the same input gives the same object. When an object is made, and what is done with it, is decided elsewhere.
"""
