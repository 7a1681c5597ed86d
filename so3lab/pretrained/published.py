"""What identifies the published SO3LR: where it is found, its checksums, its licence, whom to cite."""

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
PARAMETERS_SHA256 = "1c481bd2d9280f8b7b131ec65e92d25ff73deda76956bc137754c2acb98d93fd"
"""Of ``params.pkl`` as the authors publish it."""
SO3LR_FILES = (MEMBER_SHA256, PARAMETERS_SHA256)
UNTRAINED_SPIN = "031dea927388f983893c31ad5f4a744f4599d325e9a1aa0be9597598bd5b730c"
"""Of the spin embedding's values: SO3LR's training data had no unpaired electrons, so they are still random. A
network that was trained further without unpaired electrons has them unchanged."""
