"""What is said of a database that nobody has named."""

from __future__ import annotations

import pytest
from ansible.module_utils.baileys_auth.database import connect
from ansible.module_utils.baileys_auth.errors import AuthStateError


@pytest.mark.parametrize("conninfo", ["", " \n"])
def test_no_connection_string_is_not_taken_for_this_very_host(conninfo: str) -> None:
    with pytest.raises(AuthStateError) as error, connect(conninfo):
        pass
    (problem,) = error.value.problems
    assert (problem.code, problem.problem[:13]) == ("database_url", "it is not set")
    assert "DATABASE_URL" in problem.remedy
