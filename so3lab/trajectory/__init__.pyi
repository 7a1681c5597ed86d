from .exporting import export as export
from .reader import Trajectory as Trajectory
from .recovery import salvage as salvage
from .writer import TrajectoryWriter as TrajectoryWriter
from .writer import check_same_atoms as check_same_atoms
