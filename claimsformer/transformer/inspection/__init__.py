"""Looking inside a transformer: what modules computed, where heads looked, and which tokens an output depends on."""

from .attention_maps import AttentionMaps, attention_maps, attention_rollout
from .attribution import Attribution, integrated_gradients, occlusion, score_of_embeddings, score_of_tokens
from .capture import Capture, Record, capture
from .page import attention_page, attention_text

__all__ = [
    "capture",
    "Capture",
    "Record",
    "attention_maps",
    "AttentionMaps",
    "attention_rollout",
    "integrated_gradients",
    "occlusion",
    "Attribution",
    "score_of_tokens",
    "score_of_embeddings",
    "attention_page",
    "attention_text",
]
