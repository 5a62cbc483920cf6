"""Finds the routers of a PyTorch model, and reads from what they return which experts each token goes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from janus_sim.errors import InputError, Mistake

if TYPE_CHECKING:
    from torch import Tensor, nn

NAMES = ("gate", "router", "wg")  #: what a router is called beside its `experts`
COUNTS = ("num_experts", "n_routed_experts", "num_local_experts", "out_features")  #: attributes of a router
PICKS = (
    "top_k",
    "num_experts_per_tok",
    "moe_top_k",
    "topk",
)  #: attributes of a router, its layer or a config


def find_routers(model: nn.Module, routers: str | Sequence[str] | None = None) -> dict[str, nn.Module]:
    """Return the routers of a model by their path in it, layer by layer.

    Parameters
    ----------
    model : torch.nn.Module
    routers : str or sequence of str, optional
        Paths of modules in it, ``*`` for any part: ``model.layers.*.mlp.gate``. By default every one called
        ``gate``, ``router`` or ``wg`` beside one called ``experts``, which finds those of Mixtral, Qwen-MoE,
        OLMoE and DeepSeek in Hugging Face's transformers.
    """
    if routers is not None:
        patterns = [routers] if isinstance(routers, str) else list(routers)
        named = dict(model.named_modules())
        return {name: one for name, one in named.items() if any(fnmatchcase(name, each) for each in patterns)}
    found: dict[str, nn.Module] = {}
    for path, module in model.named_modules():
        inside = dict(module.named_children())
        for name in NAMES if "experts" in inside else ():
            if name in inside:
                found[f"{path}.{name}".lstrip(".")] = inside[name]
    return found


class Reader:
    """Reads the output of one router.

    Parameters
    ----------
    name : str
        Its path in the model, for messages.
    router : torch.nn.Module
    beside : sequence of objects
        The layer that it stands in, and the model's configuration: asked for what it does not say itself.
    """

    def __init__(self, name: str, router: nn.Module, beside: Sequence[object] = ()) -> None:
        self.name, self.router = name, router
        self.experts = _told([router], COUNTS)
        self.top_k = _told([router, *beside], PICKS)

    def choices(self, output: object) -> Tensor:
        """Return the experts (tokens, top_k) of each token; the best ones where there are only scores.

        A tensor of whole numbers is taken for the experts; else the first one of as many columns as there are
        experts for their scores.

        Raises
        ------
        InputError
            If the output holds neither, or the number of experts cannot be told.
        """
        tensors = [one.detach() for one in _tensors(output) if one.dim() >= 2]
        chosen = [
            one
            for one in tensors
            if not (one.is_floating_point() or one.is_complex()) and one.element_size() > 1
        ]
        scores = [one for one in tensors if one.is_floating_point()]
        if chosen:
            self._count(scores, chosen[0].shape[-1])
            return chosen[0].reshape(-1, chosen[0].shape[-1])
        if scores and self.top_k:
            self._count(scores, self.top_k)
            wide = next((one for one in scores if one.shape[-1] == self.experts), scores[0])
            return wide.reshape(-1, wide.shape[-1]).topk(self.top_k, dim=-1).indices
        found = ", ".join(f"{one.dtype} {tuple(one.shape)}" for one in tensors) or type(output).__name__
        raise InputError(
            Mistake(
                self.name,
                f"returns {found}; a router returns experts (tokens, top_k) as whole numbers, or scores",
            )
        )

    def _count(self, scores: Sequence[Tensor], top_k: int) -> None:
        """Settle how many experts there are, by the widest scores where the router does not say."""
        self.top_k = top_k
        widest = max((one.shape[-1] for one in scores), default=0)
        self.experts = self.experts or (widest if widest > top_k else 0)
        if not self.experts:
            raise InputError(
                Mistake(
                    self.name, "does not tell how many experts there are; give it an attribute num_experts"
                )
            )


def readers(model: nn.Module, routers: str | Sequence[str] | None = None) -> list[Reader]:
    """Return one reader for each router of a model.

    Raises
    ------
    InputError
        If there is none.
    """
    found = find_routers(model, routers)
    if not found:
        wanted = f"like {routers!r}" if routers else f"called {' or '.join(NAMES)} beside one called experts"
        raise InputError(
            Mistake(
                type(model).__name__,
                f"has no module {wanted}; write routers: the path of its routers, as layers.*.gate",
            )
        )
    config = getattr(model, "config", None)
    parents = {name: model.get_submodule(name.rpartition(".")[0]) for name in found}
    return [Reader(name, one, [parents[name], config]) for name, one in found.items()]


def _tensors(output: object) -> Iterator[Tensor]:
    """Yield the tensors in what a module returned, in order."""
    if hasattr(output, "is_floating_point"):
        yield output
        return
    parts: Iterable[object] = output.values() if isinstance(output, Mapping) else ()
    for part in output if isinstance(output, list | tuple) else parts:
        yield from _tensors(part)


def _told(objects: Sequence[object], names: Sequence[str]) -> int:
    """Return the first of some attributes that some objects have; 0 if none."""
    for one in objects:
        for name in names:
            value = getattr(one, name, None)
            if type(value) is int and value > 0:
                return value
    return 0
