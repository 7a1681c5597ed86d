from .exporting import export as export
from .identity import check_same_atoms as check_same_atoms
from .reader import Trajectory as Trajectory
from .recovery import salvage as salvage
from .writer import TrajectoryWriter as TrajectoryWriter
