"""Why names of torch that tensorlite does not have are not there: the text of error messages and of the docs' surface page."""

from __future__ import annotations

_TRANSFORMER = "attention modules and the transformer are claimsformer's: claimsformer.transformer"
_SPARSE = "of the sparse layouts there is COO alone: sparse_coo_tensor, x.to_sparse()"
_STORAGE = "there is no storage object; x.numpy() is the memory, x.data_ptr() its address, x.nbytes its size"
_DISTRIBUTED = "one process computes; there are no process groups"
_CUDA = "tensorlite computes on the CPU only"
_UNUSED = "no known program uses it"
_FOURIER = "there are no Fourier transforms; np.fft.fft(x.numpy()) computes one, without a gradient"
_PARAMETRIZE = "weight_norm and spectral_norm work by hooks; there are no other parametrizations"

#: Full names, or prefixes that end in a dot, of what is left out on purpose.
REASONS: dict[str, str] = {
    "torch.nn.MultiheadAttention": _TRANSFORMER,
    "torch.nn.Transformer": _TRANSFORMER,
    "torch.nn.TransformerEncoder": _TRANSFORMER,
    "torch.nn.TransformerEncoderLayer": _TRANSFORMER,
    "torch.nn.TransformerDecoder": _TRANSFORMER,
    "torch.nn.TransformerDecoderLayer": _TRANSFORMER,
    "torch.nn.functional.multi_head_attention_forward": _TRANSFORMER,
    "torch.nn.CTCLoss": _UNUSED,
    "torch.nn.FractionalMaxPool2d": _UNUSED,
    "torch.nn.FractionalMaxPool3d": _UNUSED,
    "torch.nn.LinearCrossEntropyLoss": "use Linear and CrossEntropyLoss",
    "torch.sparse_bsr_tensor": _SPARSE,
    "torch.sparse_csc_tensor": _SPARSE,
    "torch.sparse_csr": _SPARSE,
    "torch.sparse_csr_tensor": _SPARSE,
    "torch.Tensor.to_sparse_csr": _SPARSE,
    "torch.sparse.": "of torch.sparse there are mm, addmm, sum and the constructors",
    "torch.optim.SparseAdam": "gradients are dense",
    "torch.optim.Muon": "it orthogonalises in bfloat16, which NumPy does not have",
    "torch.Tensor.storage": _STORAGE,
    "torch.Tensor.untyped_storage": _STORAGE,
    "torch.storage.": _STORAGE,
    "torch.bfloat16": "NumPy has no bfloat16; checkpoints that hold it are widened to float32 when they are read",
    "torch.Tensor.bfloat16": "NumPy has no bfloat16; x.float() is the nearest",
    "torch.cuda.": _CUDA,
    "torch.distributed.": _DISTRIBUTED,
    "torch.nn.parallel.": _DISTRIBUTED,
    "torch.nn.DataParallel": _DISTRIBUTED,
    "torch.fft.": _FOURIER,
    "torch.stft": _FOURIER,
    "torch.istft": _FOURIER,
    "torch.Tensor.stft": _FOURIER,
    "torch.Tensor.istft": _FOURIER,
    "torch.signal.": "there are no signal windows; np.hanning(n) and the like compute them",
    "torch.distributions.": "of torch.distributions there are Bernoulli, Categorical, Independent, Normal and Uniform",
    "torch.nn.utils.parametrizations.": _PARAMETRIZE,
    "torch.nn.utils.rnn.PackedSequence": "sequences are padded, not packed: pad_sequence, and a mask in the loss",
    "torch.nn.utils.rnn.pack_sequence": "sequences are padded, not packed: pad_sequence, and a mask in the loss",
    "torch.nn.utils.parametrize.": _PARAMETRIZE,
    "torch.quantization.": "models are not quantised",
    "torch.onnx.": "models are not exported to ONNX",
    "torch.hub.": "nothing is downloaded; load a checkpoint with tensorlite.load",
    "torchvision.": "torchvision is stood in for so that programs which import it start; none of it is implemented",
    "torchaudio.": "torchaudio is stood in for so that programs which import it start; none of it is implemented",
}


def reason(name: str) -> str | None:
    """Why a torch name is left out, or None where it simply is not there."""
    if name in REASONS:
        return REASONS[name]
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        found = REASONS.get(".".join(parts[:n]) + ".")
        if found:
            return found
    return None


def error(module: str, name: str, otherwise: str = "") -> AttributeError:
    """What a module's `__getattr__` raises: the name, and why it is left out if that is on purpose, else the words of `otherwise`."""
    why = reason(f"torch{module.removeprefix('tensorlite')}.{name}")
    return AttributeError(f"module '{module}' has no attribute '{name}'" + (f": {why}" if why else otherwise))
