"""Frames on disk: H5MD files that survive a kill, restart exactly, and read back as ASE atoms."""

from so3lab.trajectory.export import export
from so3lab.trajectory.reader import Trajectory
from so3lab.trajectory.recovery import salvage
from so3lab.trajectory.writer import TrajectoryWriter, check_same_atoms

__all__ = ["Trajectory", "TrajectoryWriter", "check_same_atoms", "export", "salvage"]
