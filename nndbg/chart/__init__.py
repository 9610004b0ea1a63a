"""Charts for a terminal: axes, braille, and lines drawn on them."""
