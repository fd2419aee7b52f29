"""The flag's line in a .env file: found as dotenv finds it, changed alone, the rest byte for byte."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible.module_utils.node_host import dotenv
from hypothesis import given
from hypothesis import strategies as st

NAME = "USE_DATABASE_AUTH_STATE"

# (name of the case, before, after setting NAME=true; None: unchanged)
CASES = [
    ("empty file", "", f"{NAME}=true\n"),
    ("appended", "A=1\n", f"A=1\n{NAME}=true\n"),
    ("last newline missing", "A=1", f"A=1\n{NAME}=true\n"),
    ("appended with CRLF", "A=1\r\nB=2\r\n", f"A=1\r\nB=2\r\n{NAME}=true\r\n"),
    ("CRLF without the last one", "A=1\r\nB=2", f"A=1\r\nB=2\r\n{NAME}=true\r\n"),
    ("mixed line ends stay", f"A=1\r\n{NAME}=false\nB=2\r\n", f"A=1\r\n{NAME}=true\nB=2\r\n"),
    ("changed in its place", f"A=1\n{NAME}=false\nB=2\n", f"A=1\n{NAME}=true\nB=2\n"),
    ("right already", f"A=1\n{NAME}=true\n", None),
    ("right already, quoted", f'{NAME}="true" # on\n', None),
    ("right already, spaced", f"  export {NAME} = true\n", None),
    ("right already, with a colon", f"{NAME}: true\n", None),
    ("quotes go with the value", f"{NAME}='false'\n", f"{NAME}=true\n"),
    ("spaces go with the value", f"{NAME} = false\n", f"{NAME}=true\n"),
    ("the colon goes too", f"{NAME}: false\n", f"{NAME}=true\n"),
    ("export is kept", f"export {NAME}=false\n", f"export {NAME}=true\n"),
    ("indentation is kept", f"  {NAME}=false\n", f"  {NAME}=true\n"),
    ("comment behind is kept", f"{NAME}=false  # see the runbook\n", f"{NAME}=true  # see the runbook\n"),
    ("comment behind quotes is kept", f"{NAME}='false' # why\n", f"{NAME}=true # why\n"),
    ("comment on the next line is kept", f"{NAME}=false\n\n# B\nB=2\n", f"{NAME}=true\n\n# B\nB=2\n"),
    ("empty value", f"{NAME}=\nB=2\n", f"{NAME}=true\nB=2\n"),
    ("commented out", f"#{NAME}=false\n", f"#{NAME}=false\n{NAME}=true\n"),
    ("only a prefix of a name", f"{NAME}_2=false\n", f"{NAME}_2=false\n{NAME}=true\n"),
    ("only the end of a name", f"NO_{NAME}=false\n", f"NO_{NAME}=false\n{NAME}=true\n"),
    ("the last duplicate is the one", f"{NAME}=true\nA=1\n{NAME}=false\n", f"A=1\n{NAME}=true\n"),
    ("a right duplicate goes", f"{NAME}=true\n# x\n{NAME}=true\n", f"# x\n{NAME}=true\n"),
    ("the last duplicate's place", f"{NAME}=1\n{NAME}=2 # c\nB=2", f"{NAME}=true # c\nB=2"),
    ("inside of quotes", f'A="x\n{NAME}=false\ny"\n', f'A="x\n{NAME}=false\ny"\n{NAME}=true\n'),
    ("inside of single quotes", f"A='\n{NAME}=false\n'\nB=2\n", f"A='\n{NAME}=false\n'\nB=2\n{NAME}=true\n"),
    ("a value over lines", f'{NAME}="a\nb"\nB=2\n', f"{NAME}=true\nB=2\n"),
    ("a BOM", f"\ufeff{NAME}=false\n", f"\ufeff{NAME}=true\n"),
    ("an unclosed quote", f'A="x\n{NAME}=false\n', f'A="x\n{NAME}=true\n'),
    ("old Mac line ends", f"A=1\r{NAME}=false\rB=2\r", f"A=1\r{NAME}=true\rB=2\r"),
    ("a duplicate at the end without newline", f"{NAME}=1\n{NAME}=2", f"{NAME}=true"),
]


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_set(before: str, after: str | None) -> None:
    edit = dotenv.plan(before, NAME, "true")
    assert edit.text == (before if after is None else after)
    assert edit.changed == (after is not None)
    assert edit.after == "true"
    assert not dotenv.plan(edit.text, NAME, "true").changed


def test_removed_with_its_duplicates() -> None:
    edit = dotenv.plan(f"A=1\n{NAME}=1\nB=2\nexport {NAME}=2 # c\n", NAME, None)
    assert (edit.text, edit.before, edit.after, edit.duplicates) == ("A=1\nB=2\n", "2", None, 1)


def test_the_diff_shows_the_flags_lines_only() -> None:
    edit = dotenv.plan(f"SECRET=x\n{NAME}=1\n{NAME}=2\n", NAME, "true")
    assert edit.before_lines == (f"{NAME}=1", f"{NAME}=2")
    assert edit.after_lines == (f"{NAME}=true",)


@pytest.mark.parametrize("value", ["a\nB=1", "a\rb", '"', "'", "`", "$(id)", "$HOME", "a b", "a#b", "a\\n", "", "\0"])
def test_hostile_values_are_refused(value: str) -> None:
    with pytest.raises(dotenv.DotenvError) as caught:
        dotenv.plan("A=1\n", NAME, value)
    assert caught.value.problems[0].code == "env_flag_value"


@pytest.mark.parametrize("name", ["", "A B", "A=1\nB", "1A", "A-B", "A.B", "Ä"])
def test_hostile_names_are_refused(name: str) -> None:
    with pytest.raises(dotenv.DotenvError) as caught:
        dotenv.plan("A=1\n", name, "true")
    assert caught.value.problems[0].code == "env_flag_name"


def test_lines_that_do_not_allow_it_are_left() -> None:
    """Without a value behind it, `A=` takes the quotes on the next line: to remove the flag would change A."""
    with pytest.raises(dotenv.DotenvError) as caught:
        dotenv.plan(f"A=\n{NAME}=1\n'x'\n", NAME, None)
    assert caught.value.problems[0].code == "env_not_plain"


WORDS = [
    NAME, "A", "B", "=", ": ", " ", "\n", "\r\n", "\r", "#", "'", '"', "`", "export ", "true", "x", "\\", "\t", "\n\n",
    "é",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from([*WORDS, f"{NAME}=", "\nA=1\n", f"\n{NAME}=false\n", '="', "='"])).map("".join)


@given(TEXTS, st.sampled_from(["true", "false", None]))
def test_any_file_keeps_all_other_variables(text: str, value: str | None) -> None:
    try:
        edit = dotenv.plan(text, NAME, value)
    except dotenv.DotenvError as error:
        assert error.problems[0].code == "env_not_plain"  # noqa: PT017 - most texts have no error
        return
    before, after = dotenv.values(text), dotenv.values(edit.text)
    assert edit.before == before.pop(NAME, None)
    assert after.pop(NAME, None) == value
    assert before == after
    again = dotenv.plan(edit.text, NAME, value)
    assert not again.changed
    assert again.text == edit.text


@given(st.lists(st.sampled_from(["A=1", "# note", "", "B='two words' # c", "  C : x", "D=ä"])), st.booleans())
def test_plain_lines_are_kept_byte_for_byte(lines: list[str], crlf: bool) -> None:
    end = "\r\n" if crlf else "\n"
    text = "".join(line + end for line in lines)
    new_end = end if lines else "\n"
    assert dotenv.plan(text, NAME, "true").text == f"{text}{NAME}=true{new_end}"


# ------------------------------------------------------------------------------------------------ the file


@pytest.fixture
def env(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(b"A=\xff\xfe\n" + f"{NAME}=false\n".encode())
    path.chmod(0o640)
    return path


def test_written_with_mode_and_broken_bytes_kept(env: Path) -> None:
    before = env.stat()
    edit = dotenv.write_flag(env, NAME, "true")
    assert edit.changed
    assert env.read_bytes() == b"A=\xff\xfe\n" + f"{NAME}=true\n".encode()
    assert stat.S_IMODE(env.stat().st_mode) == 0o640
    assert env.stat().st_ino != before.st_ino, "not replaced by rename"
    assert [path.name for path in env.parent.iterdir()] == [".env"]
    assert dotenv.effective(env, NAME) == ("true", 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_owner_is_kept(env: Path) -> None:
    os.chown(env, 12345, 23456)
    dotenv.write_flag(env, NAME, "true")
    assert (env.stat().st_uid, env.stat().st_gid) == (12345, 23456)


def test_extended_attributes_are_kept(env: Path) -> None:
    try:
        os.setxattr(env, "user.note", b"kept")
    except OSError:
        pytest.skip("this filesystem has no extended attributes")
    dotenv.write_flag(env, NAME, "true")
    assert os.getxattr(env, "user.note") == b"kept"


def test_unchanged_is_not_written(env: Path) -> None:
    before = env.stat()
    dotenv.write_flag(env, NAME, "false")
    dotenv.write_flag(env, NAME, "true", dry_run=True)
    assert env.stat() == before


def test_a_symlink_stays_and_its_target_changes(env: Path, tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    link = tmp_path / "current" / ".env"
    link.symlink_to("../.env")
    dotenv.write_flag(link, NAME, "true")
    assert link.is_symlink()
    assert dotenv.effective(env, NAME) == ("true", 1)


@pytest.mark.parametrize("kind", ["missing", "folder", "dangling"])
def test_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to("nowhere")
    with pytest.raises(dotenv.DotenvError) as caught:
        dotenv.write_flag(path, NAME, "true")
    assert str(path) in str(caught.value)
    assert len(list(tmp_path.iterdir())) == (kind != "missing")


def test_an_edit_of_somebody_else_in_between_is_not_lost(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_fsync = os.fsync

    def edited_meanwhile(descriptor: int) -> None:
        env.write_text("A=changed\n")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", edited_meanwhile)
    with pytest.raises(dotenv.DotenvError):
        dotenv.write_flag(env, NAME, "true")
    assert env.read_text() == "A=changed\n"
    assert [path.name for path in env.parent.iterdir()] == [".env"]


@pytest.mark.parametrize("failing", ["replace", "fsync", "fchmod"])
def test_a_failure_leaves_the_old_file_alone(env: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    before = env.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(dotenv.DotenvError) as caught:
        dotenv.write_flag(env, NAME, "true")
    assert caught.value.problems[0].code == "env_not_written"
    assert env.read_bytes() == before
    assert [path.name for path in env.parent.iterdir()] == [".env"]
