"""The days after a cut-over: what each pass sees, whether that is good, and the sealed ledger that cleanup trusts."""
