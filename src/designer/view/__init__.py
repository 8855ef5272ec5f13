"""The graph as people know it from the Designer: boxes, ports, how each step stands, what has changed."""
