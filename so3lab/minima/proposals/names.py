"""What are proposers called? Here alone, so that a command can list them without importing what they need."""

NAMES = ("torsions", "hopping", "dynamics", "embeddings", "cluster")
