"""The edge: where clients' connections arrive, are decrypted, and are handed to the application of their host."""
