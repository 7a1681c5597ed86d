from .conversion import convert as convert
from .download import DownloadError as DownloadError
from .lennard_jones import lennard_jones as lennard_jones
from .lennard_jones import random_cluster as random_cluster
from .published import SO3LR_CITATION as SO3LR_CITATION
from .so3lr import cached_model as cached_model
from .so3lr import load_so3lr as load_so3lr
