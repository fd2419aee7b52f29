"""The new commit put in place while the app is stopped, and taken back: renames and a fast-forward.

The dependencies were built beside the running app. They go first and the commit last, so the commit says how far a
killed run came; and what is kept aside bears the commit that it belongs to.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ..baileys_auth.durable import make_folder, replace_file
from ..node_host.problems import HostError, Problem

_FACTS = "release.json"
# What `git apply` can read, whatever the host's own settings of git are.
_PATCH = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")


@dataclass(frozen=True)
class Release:
    """`staging` holds the new `node_modules` when `dependencies`; `aside` takes the old ones, for a way back later.

    `patch`: where changes to tracked files are saved before they are discarded. `files_mode`: whether the new code can
    still run on files, as far as the rehearsal told.
    """

    app_dir: Path
    commit_before: str
    commit_after: str
    dependencies: bool
    staging: Path
    aside: Path
    patch: Path
    back: bool = False
    files_mode: bool = True

    @classmethod
    def kept(cls, app_dir: Path, aside: Path) -> Release | None:
        """The way back from the release that was put in place last; None where none is kept."""
        try:
            facts = json.loads((aside / _FACTS).read_bytes())
            paths = {name: Path(facts[name]) for name in ("staging", "patch")}
            words = {name: facts[name] for name in ("commit_before", "commit_after", "dependencies", "files_mode")}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(app_dir=app_dir, aside=aside, back=True, **paths, **words)

    @property
    def commit(self) -> str:
        """Where the app is once this was applied."""
        return self.commit_before if self.back else self.commit_after

    def is_current(self) -> bool:
        """Whether the app is still at the commit that was put in place."""
        return self._git("rev-parse", "HEAD") == self.commit_after

    def apply(self) -> None:
        """Forward to the new commit, or (`back`) to the one before."""
        self.revert() if self.back else self.activate()

    def mend(self) -> None:
        """After a run was killed while it put this in place or took it back: the one commit, whole, or the other."""
        head = self._git("rev-parse", "HEAD")
        if head == self.commit_after:
            self.activate()
        elif head == self.commit_before:
            self.revert()

    def activate(self) -> None:
        """Again and again with the same result, however far it came before."""
        if not self.is_current() and self._changed_files():
            make_folder(self.patch.parent)
            replace_file(self.patch, [self._run("diff", *_PATCH, "HEAD")])
            self._git("restore", "--staged", "--worktree", "--source=HEAD", ":/")
        self._make_room()
        if self.dependencies:
            staged = self.staging / "node_modules"
            if os.path.lexists(staged):
                self._swap(self._old, staged)
            elif not (os.path.lexists(self._old) and os.path.lexists(self._modules)):
                # Else the swap is done, and what is parked is an earlier try's.
                self._swap(self._old, self._parked)
        if self.commit_after != self.commit_before:
            # What git ignores is the host's own (a login, a .env), whatever a commit brings in its place.
            self._git("merge", "--ff-only", "--no-overwrite-ignore", "--quiet", self.commit_after)
        facts = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        replace_file(self.aside / _FACTS, [json.dumps(facts, indent=1).encode() + b"\n"])

    def revert(self) -> None:
        """Take back what `activate` did, however far it came."""
        if self.dependencies:
            self._swap(self._parked, self._old)
        if self.commit_after != self.commit_before and self.is_current():
            # --keep refuses to touch a file that was changed meanwhile.
            self._git("reset", "--keep", self.commit_before)
        if self.patch.exists() and not self._changed_files():
            self._git("apply", "--whitespace=nowarn", "--no-ignore-whitespace", str(self.patch))
            self.patch.unlink()  # or a later way back would bring it once more
        (self.aside / _FACTS).unlink(missing_ok=True)

    def _changed_files(self) -> bool:
        return bool(self._git("status", "--porcelain", "--untracked-files=no"))

    def _make_room(self) -> None:
        """What earlier releases kept aside goes out of the way, to be removed once the app is up.

        So does what killed runs have laid out: no later run would look for it.
        """
        make_folder(self.aside)
        for path in (*self.aside.glob("node_modules.*"), *self.staging.parent.glob("release-*")):
            if path not in (self._old, self._parked, self.staging):
                self._outdate(path)

    def _outdate(self, path: Path) -> None:
        make_folder(self.aside / "outdated")
        os.rename(path, self.aside / "outdated" / f"{time.time_ns()}")

    def _swap(self, old: Path, new: Path) -> None:
        """What is in its place goes to `old`, `new` takes it; one that was cut off in the middle is completed."""
        # As names and not as what they lead to: node_modules may be a link, which leads nowhere from another folder.
        if not os.path.lexists(new):
            return
        if os.path.lexists(self._modules):
            if os.path.lexists(old):  # of an earlier try
                self._outdate(old)
            os.rename(self._modules, old)
        os.rename(new, self._modules)

    @property
    def _old(self) -> Path:
        """The dependencies of before."""
        return self.aside / f"node_modules.{self.commit_before}"

    @property
    def _parked(self) -> Path:
        """The new dependencies, once they were taken back."""
        return self.aside / f"node_modules.{self.commit_after}.new"

    @property
    def _modules(self) -> Path:
        return self.app_dir / "node_modules"

    def _git(self, *arguments: str) -> str:
        return self._run(*arguments).decode().strip()

    def _run(self, *arguments: str) -> bytes:
        # A subprocess and no library: git is what the operator's own hands would type here. Without the repository's
        # hooks: one that restarts the app would have it write to the store that it is just being moved from.
        command = ["git", "-C", self.app_dir, "-c", "core.hooksPath=/dev/null", *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise HostError(
                Problem(
                    "release",
                    str(self.app_dir),
                    f"git {arguments[0]} failed: {' '.join(done.stderr.decode().split()) or 'no message'}",
                    f"Look at it: git -C {self.app_dir} status",
                )
            )
        return done.stdout
