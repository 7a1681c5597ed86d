from .radial import cutoff_weight as cutoff_weight
from .radial import radial_basis as radial_basis
from .safe import safe_norm as safe_norm
from .spherical import spherical_harmonics as spherical_harmonics
