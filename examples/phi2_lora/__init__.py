"""LoRA fine-tuning of Phi-2 on questions about claims, in PyTorch and in tensorlite, side by side.

`python -m examples.phi2_lora --model tiny|smollm2|PATH --engine torch|tensorlite|both`; read pairs, formatting, recipe,
torch_engine, tensorlite_engine, run, in this order.
"""
