"""What is refused, what is warned of and which defaults are written out. Pure: no I/O, no clock, no threads."""
