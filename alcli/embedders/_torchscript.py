"""The activation of a module inside a TorchScript model, which allows no hooks.

The graph of each enclosing module is cut just before it calls the next one on the way to the layer, so that it returns that call's
arguments; the layer itself is then called as it is. This needs every module on the way to be called outside loops and branches.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from alcli.embedders._torch import no_such_layer
from alcli.errors import UsageError


def cut_before(script: Any, layer: str, torch: ModuleType, owner: str) -> Callable[[Any], Any]:
    """`script` as a function of one input that returns the output of its submodule `layer`. Raises UsageError when it cannot."""
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
    """A function of the inputs of `module` that returns the arguments it calls `child` with (the last time)."""
    graph = module.graph.copy()
    calls = [node for node in graph.nodes() if node.kind() == "prim::CallMethod" and _callee(node) == child]
    if not calls:
        what = f"{owner}: '{child}' on the way to layer '{layer}' is not called in a straight line, so TorchScript cannot be cut there"
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
    """The attribute name of the module whose method a node calls; empty for a method other than forward."""
    source = next(iter(node.inputs())).node()
    return source.s("name") if node.s("name") == "forward" and source.kind() == "prim::GetAttr" else ""
