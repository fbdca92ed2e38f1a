"""Tells harmless data types among the globals of a pickle; any other means that loading it runs code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from converters.printable import listed

# Dotted names, as full matches. Whatever has no row here is told as an attempt to run code, so the list errs
# on the side of a warning: a class is taken up only where building it does nothing but keep data.
HARMLESS = (
    r"argparse\.Namespace|types\.SimpleNamespace|uuid\.UUID|decimal\.Decimal|fractions\.Fraction",
    r"collections\.(OrderedDict|defaultdict|Counter|deque)|_codecs\.encode",
    r"(builtins|__builtin__)\.(object|dict|list|tuple|set|frozenset|str|unicode|bytes|bytearray|int|long|float"
    r"|bool|complex|slice|range|xrange|NoneType)",
    r"(copyreg|copy_reg)\._reconstructor|datetime\.(date|time|datetime|timedelta|timezone)|enum\.(Int)?Enum",
    r"pathlib(\._local)?\.(Pure)?(Posix|Windows)?Path|typing\.(Any|Dict|List|Tuple|Set|Union|Optional)",
    r"numpy\.(ndarray|dtype|bool_?|u?int\d+|float\d+|str_)",
    r"numpy\._?core\.(multiarray\.(_reconstruct|scalar)|numeric\._frombuffer)",
    r"numpy\.random\._pickle\.__(randomstate|generator|bit_generator)_ctor|numpy\.random\._\w+\.[A-Z]\w+",
    r"numpy\.random\.bit_generator\.(__pyx_unpickle_)?SeedSequence|numpy\.random\.mtrand\.RandomState",
    r"torch\.(Size|Tensor|device|Generator|b?float(\d+(_\w+)?)?|q?u?int(\d+)?|double|half|long|short|bool)",
    r"torch\.(cuda\.|storage\.)?\w*Storage|torch\.nn\.parameter\.(Parameter|Buffer)",
    r"torch\._utils\._rebuild_\w+|torch\._tensor\._rebuild_from_type_v2|torch\.serialization\._get_layout",
    r"torch\.(nn\.modules|nn\.parallel|optim)\.\w+\.[A-Z]\w*|torch\.(strided|complex\d+)",
    r"torch\.distributed\.(_shard|_tensor|tensor)\.[\w.]+\.[A-Z]\w*|torchvision\.models\.\w+\.[A-Z]\w*",
    r"torch\.nn\.functional\.\w+|torch\._C\._nn\.\w+",  # activations, as attributes of pickled modules
    # configurations, logs and callbacks of the frameworks in the publishers' table
    r"omegaconf\.(base|nodes|listconfig|dictconfig\w*)\.(DictConfig|ListConfig|(Container)?Metadata|\w*Node)",
    r"(\w+\.)+(CfgNode|AttrDict|AttributeDict|ConfigDict|FrozenConfigDict|EasyDict)",
    r"(mmcv|mmengine)(\.\w+)*\.(Config|HistoryBuffer|LogBuffer)",
    r"(pytorch_lightning|lightning)(\.\w+)*\.(ModelCheckpoint|EarlyStopping|LearningRateMonitor)",
    r"(haiku|optax|jax|flax)(\.\w+)*\.\w*(State|FlatMapping|FlatMap|FrozenDict)",
    r"jax\.interpreters\.xla\.reconstruct_device_array|jax\._src\.\w+\.(reconstruct_device_array"
    r"|_reconstruct_array)",
    r"(\w+\.)+_(Byol|Eval)ExperimentState|dill\._dill\._create_namedtuple(\(\))?",
    r"lib\.(NCEAverage|NCECriterion|LinearAverage|alias_multinomial)\.[A-Z]\w*",
)
_HARMLESS = re.compile("|".join(f"(?:{row})" for row in HARMLESS))


@lru_cache(maxsize=4096)
def is_harmless(dotted: str) -> bool:
    """Whether the global only holds data when an ordinary pickle reader meets it."""
    return _HARMLESS.fullmatch(dotted) is not None


def code_warning(names: Iterable[str]) -> str:
    """The warning for a file with globals that are no data types, "" for one without."""
    running = [name for name in names if not is_harmless(name)]
    return (
        f"warning: this file tries to run code elsewhere: {listed(running)}; nothing was run here"
        if running
        else ""
    )
