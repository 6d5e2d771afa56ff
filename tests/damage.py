"""Files that are damaged for real."""

from pathlib import Path


def turn_one_bit(path: Path, byte: int = -1) -> None:
    """Turn the lowest bit of one byte, the last unless another is named."""
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)
