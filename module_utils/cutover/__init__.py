"""The cut-over: the one run on the target that moves a login while its owners are stopped, and journals each step.

It depends on nobody: once begun it finishes or reverts by itself when the controller or the connection goes away, and
what a killed one left is understood from its journal by the next.
"""
