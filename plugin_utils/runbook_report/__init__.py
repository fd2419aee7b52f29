"""The report of a run: what was heard (run), where it stood in time (timeline), its figures over time (plot), the page.

Plain Python with jinja2, without Ansible: the callback plugin ``runbook`` tells it what happens.
"""
