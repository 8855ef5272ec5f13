"""The Designer: a library of components, graphs made of them, and what becomes of a graph once it is trained."""
