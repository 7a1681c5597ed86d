from .accumulator import Stability as Stability
from .criterion import BondStability as BondStability
from .criterion import first_unstable_frame as first_unstable_frame
from .criterion import survival_interval as survival_interval
from .study import reference_for as reference_for
from .study import run_stability as run_stability
