from .columns import read_columns as read_columns
from .opened import OpenedFrames as OpenedFrames
from .opening import open_frames as open_frames
