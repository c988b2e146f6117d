"""A convolutional network for small images: data loaders, Adadelta with a step schedule, evaluation, a checkpoint."""

import argparse
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from seeded import seed_weights
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, Dataset, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, 1)
        self.conv2 = nn.Conv2d(6, 8, 3, 1, padding=1)
        self.bn = nn.BatchNorm2d(8)
        self.dropout1 = nn.Dropout2d(0.0)
        self.fc1 = nn.Linear(8 * 5 * 5, 16)
        self.fc2 = nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = self.bn(self.conv2(x))
        x = F.max_pool2d(F.relu(x, inplace=True), 2)
        x = torch.flatten(self.dropout1(x), 1)
        return F.log_softmax(self.fc2(F.relu(self.fc1(x))), dim=1)


class Digits(Dataset):
    """Bars at ten places, with noise."""

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, 10, n)
        self.images = rng.standard_normal((n, 1, 12, 12)).astype(np.float32) / 2
        self.images[np.arange(n), 0, self.labels] += 1

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i]), int(self.labels[i])


def train(model, device, loader, optimizer, results):
    model.train()
    for data, target in loader:
        data, target = data.to(device, non_blocking=True), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        results.append(loss.item())


def test(model, device, loader, results):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data.to(device))
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    results += [test_loss / len(loader.dataset), correct]


def main(argv=()):
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--gamma", type=float, default=0.7)
    args = parser.parse_args(argv)
    torch.manual_seed(1)
    device = torch.device(
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    train_set, held_out = Digits(96, 0), Digits(40, 1)
    test_set = TensorDataset(torch.tensor(held_out.images), torch.as_tensor(held_out.labels))
    train_loader = DataLoader(train_set, batch_size=32, shuffle=False, num_workers=0, pin_memory=False)
    test_loader = DataLoader(test_set, batch_size=16)
    model = seed_weights(Net()).to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    results = []
    for _ in range(3):
        train(model, device, train_loader, optimizer, results)
        test(model, device, test_loader, results)
        scheduler.step()
        results.append(optimizer.param_groups[0]["lr"])
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.pt")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
        saved = torch.load(path, map_location=device)
    again = Net().to(device)
    missing, unexpected = again.load_state_dict(saved["model"])
    assert not missing
    assert not unexpected
    test(again, device, test_loader, results)
    return results


if __name__ == "__main__":
    print(main())
