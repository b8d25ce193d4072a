"""Kills, power cuts, broken lines, full disks and flipped bits, on the real programs."""
