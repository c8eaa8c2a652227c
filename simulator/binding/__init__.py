"""Which volume for which claim: the rules, and how ties are broken."""
