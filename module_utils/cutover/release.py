"""The new commit put in place while the app is stopped, and taken back: renames and a fast-forward.

The dependencies were built beside the running app. They go first: were the run killed between the two, the commit
would still be the old one, and the next run would do both again.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..node_host.problems import HostError, Problem


@dataclass(frozen=True)
class Release:
    """`staging` holds the new `node_modules` when `dependencies`; `aside` takes the old ones, and is empty before.

    `patch`: where changes to tracked files are saved before they are discarded.
    """

    app_dir: Path
    commit_before: str
    commit_after: str
    dependencies: bool
    staging: Path
    aside: Path
    patch: Path
    back: bool = False

    def apply(self) -> None:
        """Forward to the new commit, or (`back`) to the one before."""
        self.revert() if self.back else self.activate()

    def activate(self) -> None:
        if self._changed_files():
            self._git("diff", "--binary", f"--output={self.patch}", "HEAD")
            self._git("restore", "--staged", "--worktree", "--source=HEAD", ":/")
        if self.dependencies:
            _swap(self._modules, self.aside / "node_modules", self.staging / "node_modules")
        if self.commit_after != self.commit_before:
            self._git("merge", "--ff-only", "--quiet", self.commit_after)

    def revert(self) -> None:
        """Take back what `activate` did, however far it came."""
        if self.dependencies and (self.aside / "node_modules").exists():
            _swap(self._modules, self.staging / "node_modules", self.aside / "node_modules")
        if self.commit_after != self.commit_before and self._git("rev-parse", "HEAD") == self.commit_after:
            # --keep refuses to touch a file that was changed meanwhile.
            self._git("reset", "--keep", self.commit_before)
        if self.patch.exists() and not self._changed_files():
            self._git("apply", str(self.patch))

    def _changed_files(self) -> bool:
        return bool(self._git("status", "--porcelain", "--untracked-files=no"))

    @property
    def _modules(self) -> Path:
        return self.app_dir / "node_modules"

    def _git(self, *arguments: str) -> str:
        # A subprocess and no library: git is what the operator's own hands would type here.
        done = subprocess.run(["git", "-C", self.app_dir, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise HostError(
                Problem(
                    "release",
                    str(self.app_dir),
                    f"git {arguments[0]} failed: {' '.join(done.stderr.split()) or 'no message'}",
                    f"Look at it: git -C {self.app_dir} status",
                )
            )
        return done.stdout.strip()


def _swap(place: Path, old: Path, new: Path) -> None:
    """What is in its place goes to `old`, `new` takes it; one that was cut off in the middle is completed."""
    if not new.exists():
        return
    if place.exists():
        os.rename(place, old)
    os.rename(new, place)
