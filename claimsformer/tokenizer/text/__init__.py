"""Text to ids and back: our own medical tokenizer, and those of GPT-2, Llama 3, SmolLM2 and BERT.

tokenizer = TextTokenizer.train(texts, vocab_size=8_000)
tokenizer("E11.9, metformin 500 mg twice daily")["input_ids"]
tokenizer.save_pretrained("model")
gpt2 = TextTokenizer.from_pretrained("folder/with/vocab.json/and/merges.txt")
"""

from claimsformer.tokenizer.text.coverage import Coverage, coverage_table, measure_coverage
from claimsformer.tokenizer.text.drugs import DEFAULT_DRUGS
from claimsformer.tokenizer.text.encoding import BatchEncoding
from claimsformer.tokenizer.text.files import byte_level_state
from claimsformer.tokenizer.text.medical import MedicalSplitter, Piece, Unit
from claimsformer.tokenizer.text.parallel import ParallelEncoder
from claimsformer.tokenizer.text.patterns import GPT2_SPLIT, SplitPattern
from claimsformer.tokenizer.text.tokenizer import TextTokenizer

__all__ = [
    "TextTokenizer",
    "BatchEncoding",
    "byte_level_state",
    "Coverage",
    "coverage_table",
    "measure_coverage",
    "MedicalSplitter",
    "Piece",
    "Unit",
    "DEFAULT_DRUGS",
    "ParallelEncoder",
    "GPT2_SPLIT",
    "SplitPattern",
]
