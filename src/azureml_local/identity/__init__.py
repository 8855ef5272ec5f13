"""Microsoft Entra ID as far as Azure ML's clients use it: who is calling, proved by a signed token."""
