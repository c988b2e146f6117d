"""torch.nn.functional's names: activations, losses, convolutions, pooling, normalisation, dropout, attention and embeddings as functions."""

from . import activation, loss, loss_margin, loss_regression, pool
from .activation import *  # noqa: F403
from .attention import scaled_dot_product_attention
from .conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .distance import cosine_similarity, normalize, pairwise_distance, pdist
from .dropout import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
    feature_dropout,
)
from .grid import affine_grid, grid_sample
from .linear import bilinear, linear
from .loss import *  # noqa: F403
from .loss_margin import *  # noqa: F403
from .loss_regression import *  # noqa: F403
from .norm import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from .pool import *  # noqa: F403
from .sparse import embedding, embedding_bag, one_hot
from .vision import (
    channel_shuffle,
    interpolate,
    pad,
    pixel_shuffle,
    pixel_unshuffle,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)

__all__ = [
    *activation.__all__,
    *loss.__all__,
    *loss_margin.__all__,
    *loss_regression.__all__,
    *pool.__all__,
    "affine_grid",
    "alpha_dropout",
    "batch_norm",
    "bilinear",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_similarity",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "feature_dropout",
    "grid_sample",
    "group_norm",
    "instance_norm",
    "interpolate",
    "layer_norm",
    "linear",
    "local_response_norm",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "rms_norm",
    "scaled_dot_product_attention",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]
