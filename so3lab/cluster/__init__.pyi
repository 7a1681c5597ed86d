from .one_run import RunSpec as RunSpec
from .one_run import Summary as Summary
from .one_run import simulate as simulate
from .supervisor import run_all as run_all
from .workers import OwnProcesses as OwnProcesses
from .workers import connect as connect
from .workers import executor_at as executor_at
