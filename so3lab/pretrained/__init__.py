"""Where trained networks of others come from: SO3LR's published weights, and files of mlff and so3krates-torch."""

from so3lab.pretrained.conversion import convert
from so3lab.pretrained.download import DownloadError
from so3lab.pretrained.published import SO3LR_CITATION
from so3lab.pretrained.so3lr import cached_model, load_so3lr

__all__ = ["SO3LR_CITATION", "DownloadError", "cached_model", "convert", "load_so3lr"]
