"""What identifies the published SO3LR: where it is found, its checksums, its licence, whom to cite."""

from so3lab.network.settings import ModelSettings

LICENCE = "MIT"
SO3LR_CITATION = (
    "A. Kabylda et al., Molecular simulations with a pretrained neural network and universal pairwise force fields, "
    "J. Am. Chem. Soc. 147, 33723 (2025)"
)
PACKAGE, VERSION = "so3krates-torch", "0.2.1"
"""The PyTorch port, whose wheel carries the published parameters bit for bit."""
WHEEL = "so3krates_torch-0.2.1-py3-none-any.whl"
WHEEL_BYTES = 2_977_241
WHEEL_SHA256 = "1e3aea516997290462a280a64486ce022472dbe1edbdab81f8446587a61899d2"
MEMBER = "so3krates_torch/pretrained/so3lr/so3lr.model"
MEMBER_SHA256 = "b5145564911ff983ed076ccb2bca5ce63454b74c9c8291092695463f1e6732be"
SO3LR_SETTINGS = ModelSettings(
    num_features=128, num_layers=3, num_heads=4, degrees=(1, 2, 3, 4), cutoff=4.5, cutoff_function="phys",
    radial_basis="bernstein", num_radial=32, mean_neighbors=13.168995780096482, layer_normalization=(True, True),
    residual_mlp=(True, False), energy_hidden=128, charge_embedding=True, spin_embedding=True, repulsion=True,
    electrostatics="exact", screening_length=4.0, dispersion=True, dispersion_scale=1.2, spin_trained=False,
)  # fmt: skip
SO3LR_TENSORS = "3ba076b0c88827792a9af161a5d0c06228fb82a4aad5466d1c499bdfd0f0368c"
"""Fingerprint of the converted parameters; the same whichever published file they came from."""
UNTRAINED_SPIN = "031dea927388f983893c31ad5f4a744f4599d325e9a1aa0be9597598bd5b730c"
"""Of the spin embedding's values: SO3LR's training data had no unpaired electrons, so they are still random. A
network that was trained further without unpaired electrons has them unchanged."""
