"""nndbg: a debugger that finds the wrong number in a neural network written in assembly.

report = nndbg.check("./mnist", steps=range(3))

with nndbg.open("./mnist") as session:
    session.run_to("dense1")
    session["z1"]
"""

from nndbg.api import check, open
from nndbg.compare import Mode, Status, Verdict
from nndbg.errors import GdbError, MapError, NndbgError, ProgramError, UsageError
from nndbg.report import Report
from nndbg.session import Session

__version__ = "0.1.0"
__all__ = [
    "GdbError",
    "MapError",
    "Mode",
    "NndbgError",
    "ProgramError",
    "Report",
    "Session",
    "Status",
    "UsageError",
    "Verdict",
    "check",
    "open",
]
