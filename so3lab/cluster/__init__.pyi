from .many_runs import run_on as run_on
from .one_run import Run as Run
from .one_run import Summary as Summary
from .one_run import simulate as simulate
from .workers import OwnProcesses as OwnProcesses
from .workers import connect as connect
from .workers import executor_at as executor_at
