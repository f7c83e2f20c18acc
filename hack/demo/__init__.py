"""The demo: all examples on a cluster of their own, live in the terminal, each compared with the end that it states.

`python -m hack.demo` runs it. What is shown is computed by pure functions (views, changes, verdict, screen); only
`__main__`, `controller` and `reporters` touch processes, the network and the terminal.
"""
