"""The output of a layer inside a TorchScript model, which allows no hooks.

A layer lies inside modules that enclose one another. The graph of each enclosing module is cut just before it calls the
next module on the way to the layer. The cut graph returns the arguments of that call, so the graphs run one after
another, and the layer itself is called last. Every module on the way must be called outside loops and branches.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from alcli.embedders._torch import no_such_layer
from alcli.errors import UsageError


def cut_before(script: Any, layer: str, torch: ModuleType, owner: str) -> Callable[[Any], Any]:
    """Return a function that runs `script` on one input and returns the output of the submodule `layer`.

    Raises UsageError for an unknown layer, and for a layer before which the model cannot be cut.
    """
    named = dict(script.named_modules())
    if layer not in named or not layer:
        raise no_such_layer(owner, layer, [n for n in named if n])
    steps, module, path = [], script, ""
    for part in layer.split("."):
        steps.append(_arguments_of(module, part, torch, owner, layer))
        path = f"{path}.{part}" if path else part
        module = named[path]

    def run(batch: Any) -> Any:
        arguments: tuple[Any, ...] = (batch,)
        for step in steps:
            arguments = step(*arguments)
        return module(*arguments)

    return run


def _arguments_of(module: Any, child: str, torch: ModuleType, owner: str, layer: str) -> Callable[..., tuple[Any, ...]]:
    """Return a function from the inputs of `module` to the arguments of its last call of `child`."""
    graph = module.graph.copy()
    calls = [node for node in graph.nodes() if node.kind() == "prim::CallMethod" and _callee(node) == child]
    if not calls:
        what = (
            f"{owner}: '{child}' on the way to layer '{layer}' is not called outside loops and branches, "
            "so the TorchScript model cannot be cut there"
        )
        raise UsageError(what, hint="export the model with torch.export instead, or let it return that layer")
    arguments = list(calls[-1].inputs())[1:]
    for _ in list(graph.outputs()):
        graph.eraseOutput(0)
    for value in arguments:
        graph.registerOutput(value)
    single = len(arguments) == 1
    if not single:
        graph.makeMultiOutputIntoTuple()
    torch._C._jit_pass_dce(graph)
    function = torch._C._create_function_from_graph("cut", graph)
    handle = module._c

    def run(*inputs: Any) -> tuple[Any, ...]:
        output = function(handle, *inputs)
        return (output,) if single else tuple(output)

    return run


def _callee(node: Any) -> str:
    """The attribute name of the module whose `forward` a node calls; empty for a call of another method."""
    source = next(iter(node.inputs())).node()
    return source.s("name") if node.s("name") == "forward" and source.kind() == "prim::GetAttr" else ""
