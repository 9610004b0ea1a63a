"""The user's own reference: Python functions that a layer map names, run in a process apart."""

from nndbg.own.kind import Own, own_kind
from nndbg.own.process import TIME_LIMIT, Worker
from nndbg.own.script import Script, ScriptError, read_script

__all__ = ["TIME_LIMIT", "Own", "Script", "ScriptError", "Worker", "own_kind", "read_script"]
