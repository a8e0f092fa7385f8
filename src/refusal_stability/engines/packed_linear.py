"""Linear layers whose weights oneDNN has laid out for its own kernels: about twice the speed of PyTorch's own on a CPU.

PyTorch multiplies 32-bit floats on a CPU by MKL, which lays a weight out anew with every call. oneDNN, which comes with
the same package, keeps a layout made once. A row's numbers are then the same bits for any number of rows above one.
"""

from __future__ import annotations

from functools import cache
from typing import Any


def pack_linear_layers(model: Any, rows: int) -> int:
    """Replace a model's linear layers of 32-bit floats by packed ones; returns how many.

    Parameters
    ----------
    model : a PyTorch module on a CPU, changed in place. It can no longer be trained or saved.
    rows : the number of rows that most calls have; the layout suits it best and serves any other.

    Returns
    -------
    int
        0 where PyTorch was built without oneDNN, as on Apple's machines: the model is then left as it is.
    """
    import torch

    onednn: Any = torch.backends.mkldnn
    if not (onednn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")):
        return 0
    packed = 0
    for module in list(model.modules()):
        for name, child in module.named_children():
            # A subclass may compute something else.
            if type(child) is torch.nn.Linear and child.weight.dtype is torch.float32:
                setattr(module, name, _packed_linear()(child, rows))
                packed += 1
    return packed


@cache
def _packed_linear() -> type:
    import torch

    class PackedLinear(torch.nn.Module):
        """What `torch.nn.Linear` computes, from a weight that is laid out once."""

        def __init__(self, linear: torch.nn.Linear, rows: int) -> None:
            super().__init__()
            self.in_features, self.out_features = linear.in_features, linear.out_features
            self.bias = None if linear.bias is None else linear.bias.detach()
            self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
            # Some models ask their layers' weights for the dtype. The numbers would lie in memory twice.
            self.weight = linear.weight.new_empty(0)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")
            return result

    return PackedLinear
