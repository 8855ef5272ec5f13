"""From a training graph to what is published of it: pure functions, a graph in, a graph out.

What a request cannot change is as the training run left it, and is saved: trained models, fitted transformations, data
that does not depend on the request. What makes these goes. What a request's rows go through stays, without what only
picks rows for training; a component that fits a transformation and applies it becomes one that applies the saved one.
"""

from designer.rewriting.batch import batch_inference
from designer.rewriting.realtime import realtime_inference
from designer.rewriting.saved import saved_ports, with_paths

__all__ = ["batch_inference", "realtime_inference", "saved_ports", "with_paths"]
