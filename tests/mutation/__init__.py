"""Mutation testing: any small change of what authenticates and decides makes a test fail, or is listed with a reason.

`targets.toml` says which modules are changed and which tests must notice, `survivors.toml` lists the changes that none
can notice. `make mutation` runs it (docs/mutation.md).
"""
