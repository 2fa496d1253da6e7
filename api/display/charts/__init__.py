"""Charts as accessible SVG: no script, no inline style, colours by class, the same in words for who cannot see them."""
