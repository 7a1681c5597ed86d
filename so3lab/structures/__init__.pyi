from .graph import Graph as Graph
from .graph import build_graph as build_graph
from .graph import total_charge as total_charge
from .graph import unpaired_electrons as unpaired_electrons
from .neighbors import bonded_pairs as bonded_pairs
from .neighbors import pair_list as pair_list
from .reading import from_smiles as from_smiles
from .reading import read_structure as read_structure
