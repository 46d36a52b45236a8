"""What tools/releases plays with the programs of two releases."""
