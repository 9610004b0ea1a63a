"""nndbg: a debugger that finds the wrong number in a neural network."""
