from .database import LandscapeDatabase as LandscapeDatabase
from .network import Landscape as Landscape
from .states import TransitionState as TransitionState
from .thermodynamics import free_energies as free_energies
from .thermodynamics import populations as populations
from .thermodynamics import rates as rates
from .vibrations import Vibrations as Vibrations
from .vibrations import vibrations as vibrations
