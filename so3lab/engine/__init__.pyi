from .biases import Pull as Pull
from .biases import Restraint as Restraint
from .biases import SphericalWall as SphericalWall
from .energy_model import EnergyModel as EnergyModel
from .energy_model import energy_and_forces as energy_and_forces
from .hessians import hessian as hessian
from .pair_lists import PairLists as PairLists
