"""Runs the module named by the argument, as a target does; its own arguments are JSON on standard input."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import ansible.module_utils
from ansible.module_utils.testing import patch_module_args

PROJECT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(PROJECT / "module_utils"))
sys.path.append(str(PROJECT / "library"))

name, arguments = sys.argv[1], json.load(sys.stdin)
arguments["_ansible_check_mode"] = arguments.pop("_check", False)
arguments["_ansible_diff"] = True
with patch_module_args(arguments):
    importlib.import_module(name).main()
