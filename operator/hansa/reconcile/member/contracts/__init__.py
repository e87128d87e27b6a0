"""Who keeps a run within its terms: contact, contract, the file that says that it lives, the guard."""
