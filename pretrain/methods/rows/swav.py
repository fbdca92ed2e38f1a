"""Implements SwAV (arXiv 2006.09882): each crop predicts to which prototypes another crop is assigned.

Official: facebookresearch/swav, `main_swav.py` and `src/resnet50.py`. Its queue lies in files of its own, one
a process; ours is part of the checkpoint, and one for all processes. The values are those of 4096 images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pretrain.errors import PretrainError
from pretrain.methods.joint.layout import Layout
from pretrain.methods.joint.row import Row, option, require_whole_queue
from pretrain.optimizers.rows import PUBLISHED, Optimizer
from pretrain.options import real, whole

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pretrain.methods.base import Step
    from pretrain.methods.joint.outputs import Outputs


@dataclass(frozen=True)
class SwAv(Row):
    title: ClassVar[str] = "swav"
    layout: ClassVar[Layout] = Layout(
        {
            "backbone": "state_dict/module.",
            "projector": "state_dict/module.projection_head.",
            "prototypes": "state_dict/module.prototypes.",
            "memory": "queue/",
        }
    )
    published: ClassVar[dict[str, Any]] = {"batch_size": 4096, "epochs": 800}
    multi_crop: ClassVar[bool] = True
    one_pass: ClassVar[bool] = True
    unit_prototypes: ClassVar[str] = "weights"

    views: str = "2*swav+6*swav_local@3/7"
    optimizer: Optimizer = PUBLISHED["swav"]
    projector: str = "2048b:bn-128b"
    target: str = "stop"
    prototypes: int = 3000
    temperature: float = option(0.1, "softmax temperature of a prediction", real(0, above=True))
    epsilon: float = option(0.05, "softness of the assignment", real(0, above=True))
    sinkhorn: int = option(3, "rounds of the assignment; 0 is a softmax of each row alone", whole(0))
    queue: int = option(0, "embeddings of earlier batches that are assigned too (small batches)", whole(0))
    queue_epoch: int = option(15, "epoch from which the queue is filled", whole(0))

    def check(self, batch_size: int, per_epoch: int) -> None:
        super().check(batch_size, per_epoch)
        if self.queue:
            require_whole_queue(self.queue, batch_size)
        if self.sinkhorn and batch_size + self.queue < self.prototypes:
            raise PretrainError(
                f"--batch-size {batch_size} and --queue {self.queue} are fewer than --prototypes "
                f"{self.prototypes}, which cannot be used equally; lower --prototypes or give --queue "
                f"{-(-(self.prototypes - batch_size) // batch_size) * batch_size}"
            )

    def memory(self, width: int, outputs: int) -> nn.Module | None:
        from pretrain.methods.joint.memory import Queue, Several

        return Several(Queue(width, self.queue), Queue(width, self.queue)) if self.queue else None

    def loss(self, online: Outputs, target: Outputs, memory: Any, step: Step) -> tuple[Tensor, Tensor]:
        import torch

        codes = [self.assigned(target, number, memory, step) for number in range(len(target.predictions))]
        return swapped(codes, online.predictions, self.temperature), torch.cat(codes)

    def assigned(self, target: Outputs, number: int, memory: Any, step: Step) -> Tensor:
        """The codes nxK of one crop; where the queue is full, its embeddings take part in the assignment."""
        import torch

        from pretrain.methods.joint.losses import sinkhorn, unit
        from pretrain.process import distributed

        scores, z = target.predictions[number].detach(), unit(target.projections[number].detach())
        filling = step.done - self.queue_epoch * step.per_epoch
        if memory is not None and target.prototypes is not None and filling >= 0:
            if filling * len(scores) * distributed.world_size() >= self.queue:
                mine = memory[number].queue.T[distributed.my_slice(self.queue)]
                scores = torch.cat([mine @ target.prototypes.detach().T, scores])
            memory[number].later(z)
        if not self.sinkhorn:
            return (scores / self.epsilon).softmax(1)[-len(z) :]
        return sinkhorn(scores, self.epsilon, self.sinkhorn)[-len(z) :]


def swapped(codes: list[Tensor], scores: list[Tensor], temperature: float) -> Tensor:
    """Mean cross-entropy of the scores nxK of each crop against the codes nxK of every other one."""
    import torch

    logs = [(s / temperature).log_softmax(1) for s in scores]
    terms = [
        torch.stack([-(code * log).sum(1).mean() for v, log in enumerate(logs) if v != i])
        for i, code in enumerate(codes)
    ]
    return torch.stack([term.mean() for term in terms]).mean()


ROW = SwAv()
