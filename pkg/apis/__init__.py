"""The API types, and what follows from them alone: metadata of every kind (`meta`) and our own API group (`flow`).

Pure: no I/O, no clock, no threads, no logs. Every other package may import from here, and nothing here imports them.
"""
