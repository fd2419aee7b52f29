"""The benchmark: `make bench`. It measures and judges, and no test relies on its figures."""
