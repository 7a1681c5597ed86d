"""Checksums of arrays tell apart whatever differs in a bit or in shape."""

import numpy as np

from so3lab.machine.checksum import checksum


def test_any_bit_and_any_shape_count():
    array = np.arange(12.0)
    touched = array.copy()
    touched[5] = np.nextafter(5.0, 6.0)
    others = [
        array,
        touched,
        array.reshape(3, 4),
        array.reshape(4, 3),
        array.astype(np.float32),
        array[:11],
        -0.0 * array,
    ]
    assert len({checksum(other) for other in others}) == len(others)
    assert checksum(array, array) != checksum(array)
    assert checksum(array[:6], array[6:]) != checksum(array[:7], array[7:])


def test_the_layout_in_memory_does_not_count():
    matrix = np.arange(12.0).reshape(3, 4)
    assert checksum(np.asfortranarray(matrix)) == checksum(matrix) == checksum(matrix.tolist())
    assert checksum(np.repeat(matrix, 2, axis=1)[:, ::2]) == checksum(matrix)
