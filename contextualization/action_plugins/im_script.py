"""The task ``im_script``: a shell script, fed to ``sh`` on the node after the functions of ``shell.sh``.

It takes no Python on the node and no file transfer, which makes it some thirty times cheaper than ``shell`` on the
front-end; with many nodes, that is what the time goes to. A line ``changed: WHAT`` of its output marks the task as
changed.
"""

import shlex
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Arguments: ``script`` (text), ``arguments`` (words), ``lock`` (a file that only one run holds at a time)."""

    _requires_connection = True
    _VALID_ARGS = frozenset(("script", "arguments", "lock"))

    def run(self, tmp: object = None, task_vars: "dict[str, Any] | None" = None) -> "dict[str, Any]":
        """Run the script; what it says on standard error explains a failure."""
        result = super().run(tmp, task_vars)
        words = ["sh", "-s", "--", *self._task.args.get("arguments", ())]
        if lock := self._task.args.get("lock"):
            words = ["flock", "-o", lock, *words]
        script = f"{(task_vars or {})['im_shell']}\n{self._task.args['script']}"
        done = self._low_level_execute_command(shlex.join(map(str, words)), in_data=script.encode())
        lines = done["stdout"].splitlines()
        result.update(rc=done["rc"], stdout=done["stdout"], stderr=done["stderr"])
        result.update(changed=any(line.startswith("changed:") for line in lines), failed=done["rc"] != 0)
        if result["failed"]:
            result["msg"] = "non-zero return code"
        return result
