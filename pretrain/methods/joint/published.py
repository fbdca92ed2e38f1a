"""Defines the values of a published method, whatever its maths: a row of the table. It imports no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from pretrain.images.draws import Views
from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.spec import asked
from pretrain.methods.options import MethodOptions
from pretrain.networks.vit_sizes import VitKind
from pretrain.optimizers.rows import PUBLISHED, Optimizer


def option(default: Any, told: str, read: Any = None) -> Any:
    """Makes a field of a row that is a flag, too. `read` reads its value, or lists what it may be."""
    return field(default=default, metadata={"help": told, "read": read})


@dataclass(frozen=True)
class Published(MethodOptions):
    """The values of a method, by its official defaults. A subclass is a method.

    Each field is a flag of the command line (`ema_end` is --ema-end) and is recorded in every checkpoint.
    """

    title: ClassVar[str] = ""
    own_optimizer: ClassVar[bool] = True
    made_by: ClassVar[str]  # the class that trains by these values, as "module:name"
    layout: ClassVar[Layout]
    published: ClassVar[dict[str, Any]] = {}  # general options: the batch size and length of the paper's run
    evaluated: ClassVar[str] = "backbone"  # the network that is evaluated: this, or "target_backbone"
    vit: ClassVar[VitKind | None] = None  # the method trains vision transformers of this kind, else ResNets

    optimizer: Optimizer = PUBLISHED["simsiam"]
    views: str = option("2*v2", "recipes of the views, as in 2*swav+6*swav_local@3/7")

    def identity(self) -> dict[str, Any]:
        """All values in JSON types, those of the optimizer as `optimizer_lr` and so on."""
        values = {name: value for name, value in asdict(self).items() if name != "optimizer"}
        optimizer = {f"optimizer_{name}": value for name, value in asdict(self.optimizer).items()}
        return _plain({**values, **optimizer})

    def sized_views(self, image_size: int) -> tuple[Views, ...]:
        """The requests for views, of `image_size` pixels or their share of it."""
        return tuple(Views(a.count, a.recipe, max(1, round(a.share * image_size))) for a in asked(self.views))

    def encoder_options(self, slow: bool) -> dict[str, Any]:
        """The options of an encoder beside its width; `slow` is the copy that is not trained."""
        return {} if self.vit is None else {"vit": self.vit}

    @property
    def name(self) -> str:
        """The method's name: that of the file that defines it."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def other_encoder(self) -> str:
        """The encoder that is not evaluated, which a row without a slow copy has not."""
        return "backbone" if self.evaluated != "backbone" else "target_backbone"


def _plain(value: Any) -> Any:
    """Turns tuples into lists, as files hold them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
