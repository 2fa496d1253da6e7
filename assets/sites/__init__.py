"""What works on one site: its content, genetics, demand and orders; shared by assets, previews and scenarios."""
