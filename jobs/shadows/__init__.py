"""Shadows: versions that are asked what the stable one was asked, when nobody else has anything to do, and compared."""
