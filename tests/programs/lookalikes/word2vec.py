"""Skip-gram with negative sampling, and the n-gram model of the tutorials, on a few sentences."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from seeded import seed_weights
from torch.nn import init

SENTENCES = [
    "the",
    "patient",
    "was",
    "seen",
    "for",
    "a",
    "cough",
    "and",
    "a",
    "fever",
    ".",
    "the",
    "visit",
    "was",
    "billed",
    "to",
    "the",
    "plan",
    "and",
    "the",
    "plan",
    "paid",
    "the",
    "provider",
    ".",
    "the",
    "provider",
    "billed",
    "the",
    "plan",
    "for",
    "the",
    "visit",
    "of",
    "the",
    "patient",
    ".",
]
VOCAB = sorted(set(SENTENCES))
word_to_ix = {word: i for i, word in enumerate(VOCAB)}


class SkipGramModel(nn.Module):
    def __init__(self, emb_size, emb_dimension):
        super().__init__()
        self.u_embeddings = nn.Embedding(emb_size, emb_dimension, sparse=False)
        self.v_embeddings = nn.Embedding(emb_size, emb_dimension, sparse=False)
        initrange = 1.0 / emb_dimension
        init.uniform_(self.u_embeddings.weight.data, -initrange, initrange)
        init.constant_(self.v_embeddings.weight.data, 0)

    def forward(self, pos_u, pos_v, neg_v):
        emb_u = self.u_embeddings(pos_u)
        emb_v = self.v_embeddings(pos_v)
        emb_neg_v = self.v_embeddings(neg_v)
        score = torch.sum(torch.mul(emb_u, emb_v), dim=1)
        score = -F.logsigmoid(torch.clamp(score, max=10, min=-10))
        neg_score = torch.bmm(emb_neg_v, emb_u.unsqueeze(2)).squeeze()
        neg_score = -torch.sum(F.logsigmoid(-torch.clamp(neg_score, max=10, min=-10)), dim=1)
        return torch.mean(score + neg_score)


class NGramLanguageModeler(nn.Module):
    def __init__(self, vocab_size, embedding_dim, context_size):
        super().__init__()
        self.embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.linear1 = nn.Linear(context_size * embedding_dim, 24)
        self.linear2 = nn.Linear(24, vocab_size)

    def forward(self, inputs):
        embeds = self.embeddings(inputs).view((1, -1))
        return F.log_softmax(self.linear2(F.relu(self.linear1(embeds))), dim=1)


def skip_gram():
    rng = np.random.default_rng(0)
    counts = np.bincount([word_to_ix[w] for w in SENTENCES]) ** 0.75
    pairs = [
        (word_to_ix[w], word_to_ix[SENTENCES[j]])
        for i, w in enumerate(SENTENCES)
        for j in range(max(0, i - 2), min(len(SENTENCES), i + 3))
        if i != j
    ]
    model = seed_weights(SkipGramModel(len(VOCAB), 8))
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    losses = []
    for step in range(10):
        batch = torch.tensor([pairs[i % len(pairs)] for i in range(step * 16, step * 16 + 16)])
        negatives = torch.LongTensor(rng.choice(len(VOCAB), (16, 5), p=counts / counts.sum()))
        optimizer.zero_grad()
        loss = model(batch[:, 0], batch[:, 1], negatives)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    vectors = F.normalize(model.u_embeddings.weight.data, dim=1)
    nearest = (vectors @ vectors.t()).fill_diagonal_(-1).argmax(1)
    return losses + nearest.tolist() + vectors.cpu().numpy()[0].tolist()


def ngram():
    trigrams = [([SENTENCES[i - 2], SENTENCES[i - 1]], SENTENCES[i]) for i in range(2, 20)]
    model, loss_function, losses = seed_weights(NGramLanguageModeler(len(VOCAB), 6, 2)), nn.NLLLoss(), []
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        total_loss = torch.Tensor([0])
        for context, target in trigrams:
            context_idxs = torch.tensor([word_to_ix[w] for w in context], dtype=torch.long)
            model.zero_grad()
            loss = loss_function(model(context_idxs), torch.tensor([word_to_ix[target]], dtype=torch.long))
            loss.backward()
            optimizer.step()
            total_loss += loss.item()
        losses.append(total_loss.item())
    return losses


def main():
    return skip_gram() + ngram()


if __name__ == "__main__":
    print(main())
