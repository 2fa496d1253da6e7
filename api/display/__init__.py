"""How a thing is shown: labels, formatted numbers, charts without scripts."""
