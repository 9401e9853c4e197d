"""Make the animations of docs/animations.md, in docs/images/.

python docs/make_animations.py
"""

from __future__ import annotations

from pathlib import Path

from fastrnn import animate

IMAGES = Path(__file__).parent / "images"

ANIMATIONS = (
    animate.unrolling,
    animate.shared_parameters,
    animate.hidden_states,
    animate.generating,
    animate.vanishing,
    animate.bptt,
)

if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    for make in ANIMATIONS:
        file = IMAGES / f"{make.__name__}.gif"
        animate.save(make(), file)
        print(f"{file}: {file.stat().st_size / 1000:.0f} KB")
