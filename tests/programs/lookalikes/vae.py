"""A variational autoencoder with the reparametrisation trick; the divergence also through torch.distributions."""

import numpy as np
import torch
import torch.utils.data
from seeded import seed_weights
from torch import nn, optim
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(36, 24)
        self.fc21 = nn.Linear(24, 4)
        self.fc22 = nn.Linear(24, 4)
        self.fc3 = nn.Linear(4, 24)
        self.fc4 = nn.Linear(24, 36)
        self.noise = np.random.default_rng(5)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.from_numpy(self.noise.standard_normal(std.shape)).type_as(std)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 36))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 36), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def main():
    images = np.random.default_rng(0).uniform(0, 1, (64, 1, 6, 6)).astype(np.float32) ** 3
    dataset = torch.utils.data.TensorDataset(torch.from_numpy(images), torch.zeros(64, dtype=torch.int64))
    loader = torch.utils.data.DataLoader(dataset, batch_size=16, drop_last=True)
    model = seed_weights(VAE())
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    results = []
    for epoch in range(3):
        model.train()
        train_loss = 0
        for _batch_idx, (data, _) in enumerate(loader):
            optimizer.zero_grad()
            recon_batch, mu, logvar = model(data)
            loss = loss_function(recon_batch, data, mu, logvar)
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
            results.append(loss.item() / len(data))
        results.append(train_loss / len(loader.dataset) + epoch)
    with torch.no_grad():
        sample = model.decode(torch.linspace(-1, 1, 12).view(3, 4)).cpu()
        mu, logvar = model.encode(torch.from_numpy(images).flatten(1))
        posterior, prior = Normal(mu, (0.5 * logvar).exp()), Normal(torch.zeros_like(mu), torch.ones_like(mu))
        divergence = kl_divergence(posterior, prior).sum(dim=1)
    return results + sample.flatten().tolist() + divergence.tolist()


if __name__ == "__main__":
    print(main())
