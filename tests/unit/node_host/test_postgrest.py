"""What of an app's settings names a REST endpoint, and whose key it holds."""

from __future__ import annotations

import pytest
from ansible.module_utils.node_host.postgrest import Postgrest, PostgrestError, from_environment, one_of
from postgrest_server import key_of

URL, KEY = "https://project.supabase.co", key_of("service_role")


def test_no_setting_is_no_endpoint() -> None:
    assert from_environment({}) is None
    assert from_environment({"SUPABASE_URL": " ", "SUPABASE_KEY": ""}) is None


@pytest.mark.parametrize(
    "name", ["SUPABASE_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SERVICE_KEY", "SUPABASE_ANON_KEY"]
)
def test_the_key_under_any_of_its_names(name: str) -> None:
    found = from_environment({"SUPABASE_URL": URL, name: f" {KEY} "})
    assert found == Postgrest(URL, KEY)
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"SUPABASE_URL": URL}, "rest_half_set"),
        ({"SUPABASE_KEY": KEY}, "rest_half_set"),
        ({"SUPABASE_URL": "project.supabase.co", "SUPABASE_KEY": KEY}, "rest_url"),
        ({"SUPABASE_URL": "file:///etc/passwd", "SUPABASE_KEY": KEY}, "rest_url"),
        ({"SUPABASE_URL": "https:///path", "SUPABASE_KEY": KEY}, "rest_url"),
        ({"SUPABASE_URL": URL, "SUPABASE_KEY": "a b\nHost: elsewhere"}, "rest_key"),
    ],
)
def test_a_setting_that_cannot_work(variables: dict[str, str], code: str) -> None:
    with pytest.raises(PostgrestError) as raised:
        from_environment(variables)
    (problem,) = raised.value.problems
    assert problem.code == code
    assert not any(value in str(problem) for value in variables.values())


@pytest.mark.parametrize(
    ("key", "role"),
    [
        (KEY, "service_role"),
        (key_of("anon"), "anon"),
        ("sb_secret_x", "service_role"),
        ("sb_publishable_x", "anon"),
        ("whatever", None),
        ("a.b.c", None),
    ],
)
def test_the_role_that_a_key_stands_for(key: str, role: str | None) -> None:
    assert Postgrest(URL, key).role == role


def test_ids_are_quoted() -> None:
    assert one_of(["a@g.us::7::0", 'q"\\']) == 'in.("a@g.us::7::0","q\\"\\\\")'
