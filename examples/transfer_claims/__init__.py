"""Transfer learning on the words of claims: do the procedures fit the reasons for admission?

An encoder that has read much (MiniLM), frozen or with LoRA adapters, against a transformer that starts from nothing, at 100,
1,000 and 10,000 labelled claims. `python -m examples.transfer_claims --help` says how to run it.
"""
