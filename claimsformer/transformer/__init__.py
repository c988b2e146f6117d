"""A transformer from its parts, on tensorlite: read attention, positional_encoding, feed_forward, layers, model, in this order."""

from .attention import MultiHeadAttention, causal_mask, merge_masks, scaled_dot_product_attention
from .cache import DecoderCache, KeyValueCache
from .config import TransformerConfig
from .feed_forward import FeedForward
from .generation import Generation, GenerationOptions, generate, left_pad
from .hugging_face import from_hugging_face
from .layer_norm import LayerNorm, RMSNorm
from .layers import DecoderLayer, EncoderLayer, LayerStack, Visibility
from .model import Transformer
from .positional_encoding import LearnedPositions, RotaryEmbedding, SinusoidalPositions, apply_rotary, sinusoidal

__all__ = [
    "Transformer",
    "TransformerConfig",
    "from_hugging_face",
    # parts
    "scaled_dot_product_attention",
    "causal_mask",
    "merge_masks",
    "MultiHeadAttention",
    "FeedForward",
    "LayerNorm",
    "RMSNorm",
    "EncoderLayer",
    "DecoderLayer",
    "LayerStack",
    "Visibility",
    "sinusoidal",
    "SinusoidalPositions",
    "LearnedPositions",
    "RotaryEmbedding",
    "apply_rotary",
    # writing
    "generate",
    "Generation",
    "GenerationOptions",
    "left_pad",
    "KeyValueCache",
    "DecoderCache",
]
