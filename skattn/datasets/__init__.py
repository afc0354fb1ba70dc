"""Small real data sets that ship with the package and load offline."""

from skattn.datasets._loaders import load_japanese_vowels, load_pen_digits

__all__ = ["load_japanese_vowels", "load_pen_digits"]
