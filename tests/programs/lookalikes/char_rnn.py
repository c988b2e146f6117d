"""A character-level LSTM with truncated backpropagation through time, and a vanilla RNN written by hand, in the style of early programs."""

import math
import time

import numpy as np
import torch
import torch.nn as nn
from seeded import seed_weights
from torch.autograd import Variable

TEXT = (
    "the claim was paid in full; the claim was denied; the claim was sent back to the provider and paid in part. " * 3
)
CHARS = sorted(set(TEXT))


class CharRNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size, model="lstm", n_layers=2):
        super().__init__()
        self.model, self.hidden_size, self.n_layers = model.lower(), hidden_size, n_layers
        self.encoder = nn.Embedding(input_size, hidden_size)
        if self.model == "gru":
            self.rnn = nn.GRU(hidden_size, hidden_size, n_layers)
        elif self.model == "lstm":
            self.rnn = nn.LSTM(hidden_size, hidden_size, n_layers)
        self.decoder = nn.Linear(hidden_size, output_size)

    def forward(self, input, hidden):
        batch_size = input.size(0)
        encoded = self.encoder(input)
        output, hidden = self.rnn(encoded.view(1, batch_size, -1), hidden)
        return self.decoder(output.view(batch_size, -1)), hidden

    def init_hidden(self, batch_size):
        zeros = Variable(torch.zeros(self.n_layers, batch_size, self.hidden_size))
        return (zeros, Variable(zeros.clone())) if self.model == "lstm" else zeros


class NameRNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        combined = torch.cat((input, hidden), 1)
        return self.softmax(self.i2o(combined)), torch.tanh(self.i2h(combined))


def char_tensor(string):
    tensor = torch.zeros(len(string)).long()
    for c in range(len(string)):
        tensor[c] = CHARS.index(string[c])
    return tensor


def train_generator(kind):
    model = seed_weights(CharRNN(len(CHARS), 16, len(CHARS), kind))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    rng = np.random.default_rng(1)
    losses = []
    for _ in range(4):
        starts = rng.integers(0, len(TEXT) - 21, 5)
        inp = torch.stack([char_tensor(TEXT[s : s + 20]) for s in starts])
        target = torch.stack([char_tensor(TEXT[s + 1 : s + 21]) for s in starts])
        hidden = model.init_hidden(5)
        model.zero_grad()
        loss = 0
        for c in range(20):
            output, hidden = model(inp[:, c], hidden)
            loss += criterion(output.view(5, -1), target[:, c])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
        losses.append(loss.data.item() / 20)
    hidden, char, text = model.init_hidden(1), char_tensor("t"), "t"
    for _ in range(15):
        output, hidden = model(char, hidden)
        _, best = output.data.view(-1).div(0.8).exp().max(0)
        text += CHARS[best]
        char = char_tensor(text[-1])
    return losses + [CHARS.index(c) for c in text]


def train_classifier():
    model = seed_weights(NameRNN(len(CHARS), 12, 3))
    criterion, learning_rate, losses = nn.NLLLoss(), 0.05, []
    words = TEXT.split()[:12]
    started = time.time()
    for word in words:
        line = torch.zeros(len(word), 1, len(CHARS))
        line.scatter_(2, char_tensor(word).view(-1, 1, 1), 1.0)
        category = Variable(torch.LongTensor([len(word) % 3]))
        hidden = Variable(torch.zeros(1, 12))
        model.zero_grad()
        for i in range(line.size()[0]):
            output, hidden = model(line[i], hidden)
        loss = criterion(output, category)
        loss.backward()
        for p in model.parameters():
            p.data.add_(p.grad.data, alpha=-learning_rate)
        losses.append(loss.item())
        _, top_i = output.topk(1)
        losses.append(top_i[0].item())
    assert not math.isnan(time.time() - started)
    return losses


def main():
    return train_generator("lstm") + train_generator("gru") + train_classifier()


if __name__ == "__main__":
    print(main())
