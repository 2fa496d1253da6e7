"""From lookup keys to what guidelines ask for."""
