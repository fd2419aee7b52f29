"""A Baileys auth state: its files, its rows, and what it takes to make one store equal to the other.

Everything here runs on the target's own Python (3.10 or newer) with the standard library alone. Only
`database` speaks to PostgreSQL, through a psycopg connection that the caller opens and closes.
"""
