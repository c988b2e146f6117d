"""Pictures of computation graphs, training curves and attention, with NumPy alone.

    g = viz.graph(model, x)          # a module or function on its inputs, or an output tensor
    g.save("model.svg")              # .html .png .pdf .dot .mmd .json .txt
    print(g.text())

Better layouts come from Graphviz where it is installed; nothing here needs it.
"""

from __future__ import annotations

from .charts import attention, gradient_flow, training_curves
from .engines import available as available_engines
from .ir import Edge, Graph, Module, Node, Summary
from .picture import Picture
from .tape import Tape
from .trace import graph, record

__all__ = [
    "graph",
    "record",
    "Graph",
    "Node",
    "Edge",
    "Module",
    "Summary",
    "Tape",
    "available_engines",
    "training_curves",
    "attention",
    "gradient_flow",
    "Picture",
]
